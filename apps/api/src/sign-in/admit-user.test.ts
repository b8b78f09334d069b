import { afterEach, expect, test } from 'vitest';
import type { ApiConfig } from '../config.ts';
import { ada, startTestPeople } from '../testing/test-people.ts';
import type { TestPeople } from '../testing/test-people.ts';
import type { TestAccount } from '../testing/test-provider.ts';

let people: TestPeople;
const start = async (config: Partial<ApiConfig> = {}): Promise<void> => {
  people = await startTestPeople(config);
};
afterEach(() => people[Symbol.asyncDispose]());

async function trySignIn(account: TestAccount): Promise<{ status: number; text: string }> {
  people.provider.account = account;
  return await people.signIn(people.openBrowser());
}
const usersOf = async () => await people.api.records.users.list();

test('nobody is admitted whom the operator has not added', async () => {
  await start();
  const page = await trySignIn(ada);
  expect([page.status, page.text]).toEqual([403, expect.stringContaining('You have no account here') as string]);
  expect(await usersOf()).toEqual([]);
});

test.each([
  ['that is not verified', { ...ada, email_verified: false }],
  ['about which the provider says nothing', { sub: ada.sub, email: ada.email }],
  ['that is not one', { ...ada, email: 'ada' }],
])('a user who was added is not bound by an address %s', async (_what, account) => {
  await start();
  await people.add(ada, { [people.api.teamId]: 'admin' });
  expect((await trySignIn(account)).status).toBe(403);
  expect(await usersOf()).toMatchObject([{ subject: '' }]);
});

test('an address without a statement counts if the operator trusts the provider, but not if it is said to be unverified', async () => {
  await start({ oidcTrustEmail: true });
  await people.add(ada, {});
  expect((await trySignIn({ ...ada, email_verified: false })).status).toBe(403);
  expect((await trySignIn({ sub: ada.sub, email: ada.email })).status).toBe(200);
});

test('a user who is bound stays the same person when the address changes, and the address alone is nobody', async () => {
  await start();
  const user = await people.add(ada, {});
  expect((await trySignIn(ada)).status).toBe(200);
  expect((await trySignIn({ ...ada, sub: 'another-person' })).status).toBe(403);
  expect((await trySignIn({ ...ada, email: 'new@example.com' })).status).toBe(200);
  expect(await usersOf()).toMatchObject([{ id: user.id, subject: ada.sub, email: 'new@example.com' }]);
});

test('the first sign-in creates a user without any membership if the operator wants that', async () => {
  await start({ oidcCreateUsers: true });
  const page = await trySignIn({ ...ada, email_verified: false });
  expect([page.status, page.text]).toEqual([200, expect.stringContaining('not a member of a team yet') as string]);
  expect(await usersOf()).toMatchObject([{ subject: ada.sub, email: '', name: 'Ada' }]);
  expect(await people.api.records.memberships.listOfTeam(people.api.teamId)).toEqual([]);
});

test('domains and claims are checked for known users too', async () => {
  const claim = { claim: 'tier', value: 'gold' };
  await start({ oidcCreateUsers: true, oidcEmailDomains: ['example.com'], oidcRequiredClaims: [claim] });
  const gold = { ...ada, tier: 'gold' };
  expect((await trySignIn(gold)).status).toBe(200);
  for (const account of [
    { ...gold, email: 'ada@evil.example' },
    { ...gold, email: 'ada@sub.example.com' },
    { ...gold, email: 'ada@notexample.com' },
    { ...gold, email_verified: false },
    { ...gold, tier: 'silver' },
    ada,
  ])
    expect([account, (await trySignIn(account)).status]).toEqual([account, 403]);
});

test('groups give roles, the highest counts, and each sign-in replaces them; the audit log has the changes', async () => {
  await start({
    oidcCreateUsers: true,
    oidcGroupRoles: [
      { group: 'makers', team: 'default', role: 'developer' },
      { group: 'bosses', team: 'default', role: 'admin' },
      { group: 'guests', team: 'other', role: 'viewer' },
      { group: 'makers', team: 'gone', role: 'admin' },
    ],
  });
  const { memberships } = people.api.records;
  const rolesOf = async () => {
    const [user] = await usersOf();
    return (await memberships.listOfUser(user?.id ?? '')).map(({ teamId, role }) => `${teamId} ${role}`).sort();
  };
  const { teamId, otherTeamId } = people.api;
  await trySignIn({ ...ada, groups: ['makers', 'bosses', 'guests', 'strangers'] });
  expect(await rolesOf()).toEqual([`${teamId} admin`, `${otherTeamId} viewer`].sort());
  await trySignIn({ ...ada, groups: ['makers'] });
  expect(await rolesOf()).toEqual([`${teamId} developer`]);
  await trySignIn(ada);
  expect(await rolesOf()).toEqual([]);
  const records = (await people.api.ask('GET', '/audit/records?from=0')).json as { action: string; rule: string }[];
  expect(records.filter(({ rule }) => rule === 'group').map(({ action }) => action)).toEqual([
    ...['member.add', 'member.change', 'member.remove'],
  ]);
});
