import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Provider } from 'oidc-provider';

/** A person at the provider. */
export interface TestAccount {
  readonly sub: string;
  readonly email: string;
  readonly email_verified?: boolean;
  readonly name?: string;
  readonly groups?: readonly string[];
  readonly tier?: string;
}

export interface TestProvider extends AsyncDisposable {
  readonly issuer: string;
  readonly clientId: string;
  readonly clientSecret: string;
  /** Who signs in next, without being asked. */
  account: TestAccount;
  /** Where the redirect origin really is. Its logout tokens go there. */
  backchannel: string | undefined;
  /** The status with which each of them was answered. */
  readonly toldLogouts: number[];
}

const loginForm = `<!doctype html><title>Provider</title><form method="post">
<label for="login">Name</label> <input id="login"><button>Continue</button></form>`;

/**
 * A real OpenID Connect provider on a free port. It asks nobody for a password. `asks`: it shows a page before it goes
 * on, as for a person with a browser.
 */
export async function startTestProvider(
  redirectOrigin: string,
  first: TestAccount,
  { asks = false }: { readonly asks?: boolean } = {},
): Promise<TestProvider> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const issuer = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  const accounts = new Map<string, TestAccount>();
  const clientId = 'soulbox';
  const clientSecret = 'a-client-secret-that-must-not-be-logged';
  const provider = new Provider(issuer, {
    clients: [
      {
        ...{ client_id: clientId, client_secret: clientSecret },
        redirect_uris: [`${redirectOrigin}/auth/callback`],
        post_logout_redirect_uris: [`${redirectOrigin}/auth/signed-out`],
        backchannel_logout_uri: `${redirectOrigin}/auth/backchannel-logout`,
        backchannel_logout_session_required: true,
      },
    ],
    claims: { openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'groups', 'tier'] },
    cookies: { keys: ['a-key-for-cookies'] },
    features: {
      ...{ devInteractions: { enabled: false }, backchannelLogout: { enabled: true } },
      rpInitiatedLogout: { logoutSource: (context, form) => void (context.body = form) },
    },
    // Without its dispatcher, which refuses addresses of this host.
    fetch: async (url, { method, headers, body, signal }: RequestInit = {}) => {
      const named = url instanceof Request ? url.url : url.toString();
      const target = named.replace(redirectOrigin, test.backchannel ?? redirectOrigin);
      const answer = await fetch(target, { method, headers, body, signal, redirect: 'manual' } as RequestInit);
      test.toldLogouts.push(answer.status);
      return answer;
    },
    pkce: { required: () => true },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    findAccount: (_context, sub) => ({
      accountId: sub,
      claims: () => ({ ...accounts.get(sub), sub }),
    }),
  });
  const oidc = provider.callback();
  const test: TestProvider = {
    ...{ issuer, clientId, clientSecret, account: first, backchannel: undefined, toldLogouts: [] },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const interact = async (...[request, response]: Parameters<typeof oidc>): Promise<void> => {
    const { prompt, params } = await provider.interactionDetails(request, response);
    if (prompt.name === 'login') {
      if (asks && request.method === 'GET') {
        response.setHeader('content-type', 'text/html');
        response.end(loginForm);
        return;
      }
      accounts.set(test.account.sub, test.account);
      await provider.interactionFinished(request, response, { login: { accountId: test.account.sub } });
      return;
    }
    const grant = new provider.Grant({ accountId: test.account.sub, clientId: String(params['client_id']) });
    grant.addOIDCScope(String(params['scope']));
    await provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
  };
  server.on('request', (request, response) => {
    if (request.url?.startsWith('/interaction/') === true) void interact(request, response);
    else void oidc(request, response);
  });
  return test;
}
