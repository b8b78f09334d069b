import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { credentialId } from '../auth/person.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { markup, pageHeaders, renderPage } from '../pages/html.ts';
import { createPersonalToken, tokenDaysDefault } from '../personal-tokens/create-token.ts';
import { formToken, pageConfig, readForm } from '../sign-in/form-token.ts';
import { peopleOf } from '../sign-in/people-of.ts';
import { sendPage, sendTo, sendToSignIn } from '../sign-in/send-page.ts';

/** The page that `e2b auth login` opens: `/api/cli` below `E2B_DOCS_BASE` (seen with @e2b/cli 2.19.0). */
const path = '/docs/api/cli';

/** The program that asks listens on the person's own machine. Tokens go nowhere else. */
const nextForm = /^http:\/\/(?:localhost|127\.0\.0\.1):\d{1,5}\/?$/;

export function addE2bCliPage(app: ApiApp, context: ApiContext): void {
  const querystring = z.object({ next: z.string().optional(), state: z.string().optional() });
  app.get(path, { config: pageConfig, schema: { hide: true, querystring } }, async (request, reply) => {
    const people = peopleOf(context);
    const { next, state } = request.query;
    if (state !== undefined) {
      const outcome = state === 'success' ? 'The command line is signed in.' : 'The command line is not signed in.';
      return await sendPage(reply, 'E2B command line', markup`<p>${outcome} You can close this page.</p>`);
    }
    const target = localTarget(next);
    if (!request.person) return await sendToSignIn(reply, `${path}?next=${encodeURIComponent(target.href)}`);
    const { email, id } = request.person.user;
    const body = markup`<p>The E2B command line on this computer (port ${target.port}) wants to act for
<strong>${email === '' ? id : email}</strong> in all your teams, for ${tokenDaysDefault} days. Allow this only if you have just run <code>e2b auth login</code>.</p>
<form method="post">${formToken(people, request.person)}<input type="hidden" name="next" value="${target.href}">
<button>Allow</button></form>`;
    // The answer to the form leads to that port, which the policy of other pages forbids.
    const policy = pageHeaders['content-security-policy'];
    const withPort = policy.replace("form-action 'self'", `form-action 'self' ${target.origin}`);
    return await reply
      .headers({ ...pageHeaders, 'content-security-policy': withPort })
      .send(renderPage('E2B command line', body));
  });

  app.post(path, { config: pageConfig, schema: { hide: true } }, async (request, reply) => {
    const people = peopleOf(context);
    if (!request.person) return await sendToSignIn(reply, path);
    const { user } = request.person;
    const target = localTarget(readForm(request, people, request.person)['next']);
    const made = {
      ...{ userId: user.id, name: 'e2b CLI', days: tokenDaysDefault, rule: 'session', isOfProgram: true },
      sessionId: credentialId(request.person),
    };
    const token = (await createPersonalToken(request, context, made)).token.reveal();
    const { origin } = people;
    target.search = new URLSearchParams({
      ...{ email: user.email === '' ? user.id : user.email, accessToken: token, refreshToken: token },
      ...{ tokenEndpoint: `${origin}/auth/token`, revokeEndpoint: `${origin}/auth/revoke`, clientId: 'e2b-cli' },
    }).toString();
    return await sendTo(reply, target.href);
  });
}

function localTarget(next: string | undefined): URL {
  if (next === undefined || !nextForm.test(next) || !URL.canParse(next))
    throw new SoulBoxError('bad_request', 'The query parameter next must be a port of this computer.');
  return new URL(next);
}
