import type { Role } from '@soulbox/contract';
import type { UserRecord } from '@soulbox/storage';
import type { ApiConfig } from '../config.ts';
import { startTestApi } from './test-api.ts';
import type { TestApi } from './test-api.ts';
import { createTestBrowser } from './test-browser.ts';
import type { Page, TestBrowser } from './test-browser.ts';
import { startTestProvider } from './test-provider.ts';
import type { TestAccount, TestProvider } from './test-provider.ts';

/** An API at which people sign in, and a real provider. */
export interface TestPeople extends AsyncDisposable {
  readonly api: TestApi;
  readonly provider: TestProvider;
  /** The clock of the API. It stands still. */
  readonly now: { value: number };
  /** A browser that nobody has used. */
  openBrowser(): TestBrowser;
  /** Signs in with the account that the provider has at the moment. */
  signIn(browser: TestBrowser): Promise<Page>;
  /** Adds a user, as the operator does, and makes them a member. */
  add(account: TestAccount, roles: Readonly<Record<string, Role>>): Promise<UserRecord>;
}

/** The address under which browsers know the API. */
export const peopleOrigin = 'https://people.example';

export const ada: TestAccount = { sub: 'subject-ada', email: 'Ada@Example.com', email_verified: true, name: 'Ada' };

export async function startTestPeople(config: Partial<ApiConfig> = {}): Promise<TestPeople> {
  const provider = await startTestProvider(peopleOrigin, ada);
  const now = { value: Date.now() };
  const api = await startTestApi({
    clock: { now: () => now.value },
    oidcClientSecret: provider.clientSecret,
    config: {
      ...{ apiUrl: peopleOrigin, oidcIssuer: provider.issuer, oidcClientId: provider.clientId },
      ...config,
    },
  });
  provider.backchannel = api.url;
  return {
    ...{ api, provider, now },
    openBrowser: () => createTestBrowser(peopleOrigin, api.url),
    signIn: async (browser) => await browser.open('/auth/start'),
    add: async ({ sub, email }, roles) => {
      const user = {
        ...{ id: crypto.randomUUID(), issuer: '', subject: '', email: email.toLowerCase(), name: '', createdAt: 1 },
        lastSignInAt: undefined,
      };
      if ((await api.records.users.create(user, 100)) !== 'created') throw new Error(`${sub} exists.`);
      for (const [teamId, role] of Object.entries(roles))
        await api.records.memberships.put({ userId: user.id, teamId, role, source: 'operator', createdAt: 1 });
      return user;
    },
    [Symbol.asyncDispose]: async () => {
      await api[Symbol.asyncDispose]();
      await provider[Symbol.asyncDispose]();
    },
  };
}
