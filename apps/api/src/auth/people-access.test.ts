import { newPublicKey } from '../testing/ssh-client.ts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildTemplate } from '../testing/build-template.ts';
import { codeOf, isDone, keyed, keylessFor, later, pages, signedOnly } from '../testing/route-lists.ts';
import { sampleOf } from '../testing/route-samples.ts';
import { createScriptedFunctions } from '../testing/scripted-functions.ts';
import { adminToken, metricsToken, startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { makePerson, signedInPeople } from '../testing/test-person.ts';
import type { TestPerson } from '../testing/test-person.ts';
import { roles, scopesOfRole } from './scopes.ts';
import type { Scope } from './scopes.ts';

/** Every route of the table as every kind of person. What keys may do is in `route-access.test.ts`. */
let api: TestApi;
const people: Record<string, TestPerson> = {};
const person = (name: string): TestPerson => {
  const found = people[name];
  if (found === undefined) throw new Error(`There is no person "${name}".`);
  return found;
};

beforeAll(async () => {
  const own = { id: '' };
  api = await startTestApi({
    clock: { now: () => Date.now() + aheadMs },
    config: {
      ...{ ...signedInPeople, addressRequestRate: 0, keyRequestRate: 0, webhookAllowPrivate: ['127.0.0.1'] },
      ...{ teamSandboxLimit: 100_000, teamSnapshotLimit: 100_000, teamTemplateLimit: 100_000, teamBuildLimit: 1000 },
      ...{ teamVolumeLimit: 10_000, teamBucketLimit: 10_000 },
    },
    functions: createScriptedFunctions(() => own.id),
  });
  own.id = api.teamId;
  await buildTemplate(api, 'extra');
  const { teamId, otherTeamId } = api;
  for (const role of roles) people[role] = await makePerson(api, { [teamId]: role });
  people['admin elsewhere'] = await makePerson(api, { [otherTeamId]: 'admin' });
  people['stranger'] = await makePerson(api, { [otherTeamId]: 'admin' }, { teamId });
  people['expired'] = await makePerson(api, { [teamId]: 'admin' }, { endAt: 1 });
  people['removed'] = await makePerson(api, { [teamId]: 'admin' });
  await api.records.users.remove(person('removed').userId);
  people['revoked'] = await makePerson(api, { [teamId]: 'admin' });
  const { userId, tokenId } = person('revoked');
  await api.records.personalTokens.remove(userId, tokenId);
  await api.records.sessions.endOfUser(userId);
});
afterAll(() => api[Symbol.asyncDispose]());

let addresses = 0;
/** How far the clock is ahead. Each request waits so long that wrong tokens do not use up the limit of the server. */
let aheadMs = 0;
const waitMs = 20;
/** Another address for each request, so that wrong tokens are not throttled. */
const fresh = (): string => `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses++ & 255}`;

type Credential = Readonly<Record<string, string>>;
const nothing: Credential = {};
const byToken = (name: string): Credential => ({ 'x-api-key': person(name).key });
const bearer = (name: string): Credential => {
  const { key, session } = person(name);
  return { authorization: `Bearer ${key.slice(0, 44)}`, 'x-team-id': session['x-team-id'] ?? '' };
};
const bySession = (name: string, changes: Readonly<Record<string, string | undefined>> = {}): Credential =>
  Object.fromEntries(
    Object.entries({ ...person(name).session, ...changes }).flatMap(([header, value]) =>
      value === undefined ? [] : [[header, value]],
    ),
  );
const ways = [
  ['token as a key', byToken],
  ['bearer token', bearer],
  ['session', bySession],
] as const;

async function ask(route: string, credential: Credential, isReal: boolean, path?: string) {
  const sample = await sampleOf(api, route, { isReal });
  aheadMs += waitMs;
  const headers = { 'x-forwarded-for': fresh(), ...credential };
  return await api.ask(sample.method, path ?? sample.path, { body: sample.body, key: null, headers });
}

const isChange = (route: string): boolean => !route.startsWith('GET ');

describe.each(keyed)('%s', (route, { scope }) => {
  test.each(roles)('a %s may call it only if the table says so', async (role) => {
    const has: readonly Scope[] = scopesOfRole(role);
    const isOpen = scope === 'any' || has.includes(scope);
    for (const [way, credential] of isOpen ? [ways[0], ways[2]] : ways) {
      const { status, json } = await ask(route, credential(role), isOpen);
      const message = (json as { message?: string } | undefined)?.message ?? '';
      if (!isOpen) expect([way, status, message]).toEqual([way, 403, expect.stringContaining(`"${scope}"`)]);
      else if (route === 'POST /signed-urls')
        expect([way, status, message]).toEqual([way, 403, expect.stringContaining('no route that can be signed')]);
      else if (later.test(route)) expect([way, status]).toEqual([way, 501]);
      else expect([route, way, status, isDone(status)]).toEqual([route, way, status, true]);
    }
  });

  test.each(['expired', 'removed', 'revoked'])('401 for a person who was %s', async (name) => {
    for (const [way, credential] of ways) {
      const { status, json } = await ask(route, credential(name), false);
      const unauthorized = {
        code: codeOf(route, 401, 'unauthorized'),
        message: expect.stringMatching(/^Unauthorized/) as string,
      };
      expect([way, status, json]).toEqual([way, 401, unauthorized]);
    }
  });

  test('an admin of another team is no member, and finds nothing in their own team', async () => {
    // With a bearer token and the header, and with a session, the list shows the teams of the person.
    if (route === 'GET /teams') return;
    for (const [way, credential] of ways) {
      const { status, json } = await ask(route, credential('stranger'), false);
      const refused = {
        code: codeOf(route, 403, 'forbidden'),
        message: `You are not a member of a team "${api.teamId}".`,
      };
      expect([way, status, json]).toEqual([way, 403, refused]);
    }
    if (!route.includes(':') || later.test(route) || route === 'GET /audit/log/*') return;
    const { status, json } = await ask(route, byToken('admin elsewhere'), true);
    // The signing route looks at the URL before the thing behind it.
    if (route === 'POST /signed-urls') expect([403, 404]).toContain(status);
    else if (status === 200) expect([route, json]).toEqual([route, []]);
    else expect([route, status]).toEqual([route, 404]);
  });

  test('a session needs a team, a page of this server and, for changes, its token', async () => {
    const status = async (changes: Readonly<Record<string, string | undefined>>): Promise<number> =>
      (await ask(route, bySession('admin', changes), false)).status;
    expect(await status({ 'x-team-id': undefined })).toBe(route === 'GET /teams' ? 200 : 400);
    expect(await status({ origin: 'https://evil.example' })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'same-site' })).toBe(403);
    if (!isChange(route)) return;
    expect(await status({ 'x-csrf-token': undefined })).toBe(403);
    expect(await status({ 'x-csrf-token': person('viewer').session['x-csrf-token'] })).toBe(403);
    expect(await status({ origin: undefined, 'sec-fetch-site': undefined })).toBe(403);
  });
});

const everybody = (): [string, Credential][] => [
  ['nobody', nothing],
  ['a key', { 'x-api-key': api.key }],
  ...['admin', 'admin elsewhere', 'stranger', 'expired', 'removed', 'revoked'].flatMap((name) =>
    ways.map(([way, credential]): [string, Credential] => [`${name} by ${way}`, credential(name)]),
  ),
];

test.each(keylessFor('operator'))('%s is closed to everybody but the operator', async (route) => {
  for (const [who, credential] of [...everybody(), ['metrics', { 'x-api-key': metricsToken }] as const]) {
    if (who === 'metrics' && route.includes(' /host/')) continue;
    expect([who, (await ask(route, credential, true)).status]).toEqual([who, 401]);
  }
});

test('the limits of a team are open to the administrator', async () => {
  expect((await ask('PATCH /teams/:teamID/limits', { 'x-api-key': adminToken }, true)).status).toBe(200);
});

describe.each(keylessFor('person'))('%s', (route) => {
  test('is closed to keys, the operator, and people who have ended', async () => {
    const ended = everybody().filter(
      ([who]) => /nobody|key$|expired|removed|revoked/.test(who) && !/^admin|^str/.test(who),
    );
    expect(ended.length).toBe(11);
    const tokens = [adminToken, metricsToken].map((token): [string, Credential] => [token, { 'x-api-key': token }]);
    for (const [who, credential] of [...ended, ...tokens])
      expect([who, (await ask(route, credential, false)).status]).toEqual([who, 401]);
  });

  test('is open to its person, by a token and in a session, whatever the teams', async () => {
    for (const [way, credential] of ways) {
      const name = `${route} ${way}`;
      people[name] = await makePerson(api, {}, { teamId: 'none' });
      const { tokenId, userId } = person(name);
      const made = route.includes(':sshKeyID') ? await addSshKey(api, userId) : '';
      const path = route.includes(':tokenID')
        ? `/personal-tokens/${tokenId}`
        : made === ''
          ? undefined
          : `/personal-ssh-keys/${made}`;
      const credentials = way === 'session' ? bySession(name, { 'x-team-id': undefined }) : credential(name);
      const { status } = await ask(route, credentials, false, path);
      // A token that was stolen must not make another one.
      if (route === 'POST /personal-tokens' && way !== 'session') expect([way, status]).toEqual([way, 403]);
      else expect([route, way, status < 300]).toEqual([route, way, true]);
    }
  });

  test('is closed to other sites, and to changes without the token of the session', async () => {
    const status = async (changes: Readonly<Record<string, string | undefined>>): Promise<number> =>
      (await ask(route, bySession('viewer', changes), false)).status;
    expect(await status({ origin: 'https://evil.example' })).toBe(403);
    expect(await status({ 'sec-fetch-site': 'cross-site' })).toBe(403);
    if (isChange(route)) expect(await status({ 'x-csrf-token': undefined })).toBe(403);
  });
});

test.each(keylessFor('anyone'))('%s gives nobody a session, and fails for nobody', async (route) => {
  for (const [who, credential] of everybody()) {
    const { status, headers, text } = await ask(route, credential, false);
    // The provider of this server is away.
    expect([who, status, status < 500 || status === 503]).toEqual([who, status, true]);
    expect(headers.getSetCookie().join()).not.toMatch(/soulbox_session=[^;]/);
    expect(text).not.toMatch(/sbp_[0-9a-f]{40}/);
  }
});

test('pages of keys do not take a session for one, and uploads take neither session nor token', async () => {
  const [page = ''] = pages;
  const shown = await ask(page, bySession('admin'), true);
  expect([shown.status, shown.text]).toEqual([401, expect.stringContaining('API key')]);
  const [upload = ''] = signedOnly;
  for (const [, credential] of ways) expect((await ask(upload, credential('admin'), false)).status).toBe(401);
});

/** Adds a key of the person, and returns its id. */
async function addSshKey({ records }: TestApi, userId: string): Promise<string> {
  const [algorithm = '', publicKey = ''] = newPublicKey().split(' ');
  const key = { id: `k${userId}`, name: 'k', algorithm, publicKey, fingerprint: userId, templates: [], createdAt: 1 };
  await records.sshKeys.add(
    {
      ...key,
      id: `${key.id}${String(Math.random())}`,
      fingerprint: publicKey,
      owner: { kind: 'person', userId },
      expiresAt: undefined,
      lastUsedAt: undefined,
    },
    50,
  );
  return (await records.sshKeys.list({ kind: 'person', userId }))[0]?.id ?? '';
}
