import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { functionMetadataKey } from '@soulbox/contract/functions';
import { createApiKey } from '@soulbox/storage';
import { auditedRoutes } from '../http/audited-routes.ts';
import { buildTemplate } from '../testing/build-template.ts';
import { codeOf, isDone, keyed, keylessFor, later, pages, signedOnly } from '../testing/route-lists.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { sampleOf } from '../testing/route-samples.ts';
import type { Sample } from '../testing/route-samples.ts';
import { createScriptedFunctions } from '../testing/scripted-functions.ts';
import { startTestApi } from '../testing/test-api.ts';
import type { TestApi } from '../testing/test-api.ts';
import { routeAccess } from './route-access.ts';
import { scopes } from './scopes.ts';
import type { Scope } from './scopes.ts';

/**
 * Every route of the table as every kind of caller. What is expected follows from the table; the lists below are its
 * exceptions. A route that is missing in the table fails in `audited-routes.test.ts` and here.
 */
let api: TestApi;
const keys: Record<string, string> = {};

beforeAll(async () => {
  const own = { id: '' };
  api = await startTestApi({
    config: {
      ...{ addressRequestRate: 0, keyRequestRate: 0, webhookAllowPrivate: ['127.0.0.1'] },
      ...{ teamSandboxLimit: 100_000, teamSnapshotLimit: 100_000, teamTemplateLimit: 100_000, teamBuildLimit: 1000 },
      ...{ teamVolumeLimit: 10_000, teamBucketLimit: 10_000 },
    },
    functions: createScriptedFunctions(() => own.id),
  });
  own.id = api.teamId;
  await buildTemplate(api, 'extra');
  const make = async (name: string, options: Parameters<typeof createApiKey>[3]) => {
    const { key, record } = await createApiKey(api.records, { id: api.teamId }, name, options);
    keys[name] = key.reveal();
    return record.id;
  };
  for (const scope of scopes) {
    await make(`only ${scope}`, { scopes: [scope] });
    await make(`all but ${scope}`, { scopes: scopes.filter((other) => other !== scope) });
  }
  await make('nothing', { scopes: [] });
  await make('viewer', { role: 'viewer', scopes: ['read'] });
  await make('expired', { expiresAt: 1 });
  await make('extra only', { scopes: ['create', 'run', 'read'], templates: ['extra'] });
  await make('base only', { scopes: ['create', 'run', 'read'], templates: ['base'] });
  await api.records.apiKeys.remove(api.teamId, await make('revoked', {}));
  keys['all'] = api.key;
  keys['other team'] = api.otherKey;
  keys['invented'] = `e2b_${'5'.repeat(40)}`;
});
afterAll(() => api[Symbol.asyncDispose]());

/** Make credentials, which are never stronger than those of the caller: they need this scope too. */
const makesKeys: Readonly<Record<string, Scope>> = { 'POST /api-keys': 'read', 'POST /ssh-keys': 'run' };
/** Names a thing in its path that belongs to a team. */
const named = keyed.filter(([route]) => route.includes(':') && !later.test(route));
/** Empty instead of 404, because ended sandboxes are forgotten at some time. */
const emptyInstead = ['GET /events/sandboxes/:sandboxID', 'GET /sandboxes/:sandboxID/connections'];
/** Also shows what an ended sandbox did. */
const alsoEnded = ['GET /sandboxes/:sandboxID/network/learned'];
/** Templates are found by their names, which another team may have too. */
const about = (route: string, param: string): boolean => route.includes(`:${param}`);

/** A request that is refused before its path is looked at. */
const askInVain = async (route: string, key: string) => await send(await sampleOf(api, route, { isReal: false }), key);

async function ask(route: string, key: string, change?: (sample: Sample) => string) {
  const sample = await sampleOf(api, route, { isReal: true });
  return await send({ ...sample, path: change?.(sample) ?? sample.path }, key);
}

async function send(sample: Sample, key: string) {
  const { path } = sample;
  const presented = keys[key];
  if (presented === undefined) throw new Error(`There is no key "${key}".`);
  return await api.ask(sample.method, path, {
    body: sample.body,
    key: presented,
    headers: { 'x-forwarded-for': fresh() },
  });
}

/** A sandbox as `apps/functions` makes it, of the template to which the key "base only" is restricted. */
async function plantFunction(more: Readonly<Record<string, string>>): Promise<string> {
  const metadata = { ...more, [functionMetadataKey]: 'shop' };
  const endAt = timestampFromMs(Date.now() + 600_000);
  const sandbox = api.runner.plant({ teamId: api.teamId, templateId: 'tbase', metadata, endAt });
  await api.records.sandboxes.put(factsFromRunner(sandbox), Date.now());
  return sandbox.sandboxId;
}

let addresses = 0;
/** Another address for each request, so that wrong keys are not throttled. */
const fresh = (): string => `10.${(addresses >> 16) & 255}.${(addresses >> 8) & 255}.${addresses++ & 255}`;

const refusal = (route: string, scope: string) => ({
  code: codeOf(route, 403, 'scope_missing'),
  message: expect.stringContaining(`"${scope}"`) as string,
});

test('the table has every route that the audit log knows, and no other', () => {
  expect(Object.keys(routeAccess).sort()).toEqual(Object.keys(auditedRoutes).sort());
});

test('only health, documents, pages, people and the operator need no key', () => {
  expect(keylessFor('anyone').sort()).toEqual([
    'GET /',
    'GET /.well-known/jwks.json',
    'GET /.well-known/openid-configuration',
    'GET /account',
    'GET /auth/callback',
    'GET /auth/device',
    'GET /auth/sign-in',
    'GET /auth/signed-out',
    'GET /auth/start',
    'GET /docs/:name',
    'GET /docs/api/cli',
    'GET /health',
    'GET /openapi.json',
    'POST /auth/backchannel-logout',
    'POST /auth/device',
    'POST /auth/device-code',
    'POST /auth/revoke',
    'POST /auth/sign-out',
    'POST /auth/token',
    'POST /dashboard/inspect/sandbox/:sandboxID',
    'POST /dashboard/sign-out',
    'POST /docs/api/cli',
  ]);
  expect(keylessFor('operator').sort()).toEqual([
    'GET /host/storage',
    'PATCH /teams/:teamID/limits',
    'POST /host/backup-stage',
  ]);
  expect(keylessFor('person').sort()).toEqual([
    'DELETE /auth/session',
    'DELETE /personal-ssh-keys/:sshKeyID',
    'DELETE /personal-tokens/:tokenID',
    'GET /auth/session',
    'GET /personal-ssh-keys',
    'GET /personal-tokens',
    'POST /personal-ssh-keys',
    'POST /personal-tokens',
  ]);
});

describe.each(keyed)('%s', (route, { scope, templates }) => {
  const done = (status: number): unknown => [route, status, isDone(status)];
  const isOpenTo = (has: readonly Scope[]): boolean => scope === 'any' || has.includes(scope);

  test('a key with every scope may call it', async () => {
    const paused = route === 'POST /sandboxes/:sandboxID/resume';
    const { status, text } = await ask(route, 'all', (sample) => {
      if (paused) api.runner.move(sample.id ?? '', 'paused', 'request');
      return sample.path;
    });
    const expected = paused ? [201, 409] : [];
    if (expected.includes(status)) return;
    if (route === 'POST /signed-urls') expect([status, text]).toEqual([403, expect.stringContaining('no route')]);
    else if (later.test(route)) expect(status).toBe(501);
    else expect([route, status < 400, text]).toEqual([route, true, text]);
  });

  test.each(['invented', 'expired', 'revoked'])('401 for a key that is %s', async (key) => {
    const { status, json } = await askInVain(route, key);
    const code = codeOf(route, 401, 'unauthorized');
    expect([status, json]).toEqual([401, { code, message: expect.stringMatching(/^Unauthorized/) as string }]);
  });

  test.each([...scopes.map((one) => [`only ${one}`, [one]] as const), ['viewer', ['read']], ['nothing', []]] as const)(
    'a key with the scopes of "%s" may call it only if the table says so',
    async (key, has) => {
      if (route === 'POST /signed-urls') return;
      const { status, json } = await (isOpenTo(has) ? ask : askInVain)(route, key);
      // A new key would have a scope that the caller lacks.
      const needed = makesKeys[route];
      if (needed !== undefined && isOpenTo(has)) expect(json).toEqual(refusal(route, needed));
      else if (isOpenTo(has)) expect(done(status)).toEqual([route, status, true]);
      else expect([status, json]).toEqual([403, refusal(route, scope)]);
    },
  );

  test('a key with all other scopes is not enough', async () => {
    if (scope === 'any') return;
    const { status, json } = await askInVain(route, `all but ${scope}`);
    expect([status, json]).toEqual([403, refusal(route, scope)]);
  });

  test('a key that is restricted to another template sees nothing of it', async () => {
    const isRefused = !isOpenTo(['create', 'run', 'read']) || templates === 'refused';
    const { status, json } = await (isRefused ? askInVain : ask)(route, 'extra only');
    if (!isOpenTo(['create', 'run', 'read'])) expect([status, json]).toEqual([403, refusal(route, scope)]);
    else if (templates === 'refused')
      expect([status, json]).toMatchObject([
        403,
        { message: expect.stringMatching(/restricted to templates \(extra\)/) as string },
      ]);
    else if (route.endsWith('sandboxes') && scope === 'create')
      expect([status, json]).toMatchObject([
        403,
        { message: expect.stringMatching(/only from these templates: extra/) as string },
      ]);
    else if (later.test(route)) expect(status).toBe(501);
    else if (about(route, 'sandboxID') || about(route, 'templateID') || about(route, 'alias'))
      expect([route, status]).toEqual([route, 404]);
    else if (scope === 'read') expect(JSON.stringify(json)).not.toContain('tbase');
    else expect(['POST /signed-urls', 'GET /ssh', 'GET /teams']).toContain(route);
  });
});

describe.each(named)('%s', (route, { templates }) => {
  const missing = emptyInstead.includes(route) ? 200 : 404;

  test('a key of another team finds nothing', async () => {
    const { status, json } = await ask(route, 'other team');
    if (route === 'GET /audit/log/*') return;
    expect([status, missing === 200 ? json : undefined]).toEqual([missing, missing === 200 ? [] : undefined]);
  });

  test.each(['..%2F..%2Fx', '%00', "'%20OR%201=1", 'i'.repeat(300), 'iaaaaaaaaaaaaaaaaaaaa-x', '%F0%9F%92%A9'])(
    'an id such as %s is refused, and nothing fails',
    async (id) => {
      // Any text of this form can name a function; its owner is what counts.
      if (about(route, 'name')) return;
      const sample = await sampleOf(api, route, { isReal: false });
      const { status } = await send({ ...sample, path: sample.with(id) }, 'all');
      expect([route, id, [400, 404, missing].includes(status) || status]).toEqual([route, id, true]);
    },
  );

  if (!about(route, 'sandboxID')) return;

  test('a sandbox that has ended is not found', async () => {
    const { status } = await ask(route, 'all', (sample) => {
      api.runner.sandboxes.delete(sample.id ?? '');
      void api.records.sandboxes.end(sample.id ?? '', 'killed', Date.now());
      return sample.path;
    });
    expect([route, status]).toEqual([route, alsoEnded.includes(route) ? 200 : missing]);
  });

  test('a paused sandbox belongs to its team only', async () => {
    const pause = async (key: string): Promise<number> =>
      (
        await ask(route, key, (sample) => {
          api.runner.move(sample.id ?? '', 'paused', 'request');
          return sample.path;
        })
      ).status;
    expect(await pause('other team')).toBe(missing);
    expect([200, 201, 204, 409]).toContain(await pause('all'));
  });

  test('the sandbox of a function does not exist for a key that is restricted to its template', async () => {
    const own = await plantFunction({});
    const sample = await sampleOf(api, route, { isReal: false });
    const path = sample.with(own);
    expect((await send({ ...sample, path }, 'base only')).status).toBe(templates === 'refused' ? 403 : 404);
    // For others it is a sandbox of the team, which cannot be copied.
    const { status } = await send({ ...sample, path }, 'all');
    expect([route, isDone(status) || [400, 409].includes(status) || status]).toEqual([route, true]);
  });

  test('a key that is restricted to its template finds it', async () => {
    const { status } = await ask(route, 'base only');
    expect(templates === 'refused' ? status === 403 : isDone(status) || status === 409).toBe(true);
  });
});

test('lists for a key that is restricted to a template leave out the sandboxes of functions', async () => {
  const body = { templateID: 'base', timeout: 600, metadata: { list: '1' } };
  const plain = ((await api.ask('POST', '/v2/sandboxes', { body })).json as { sandboxID: string }).sandboxID;
  const own = await plantFunction({ list: '1' });
  for (const path of ['/sandboxes?metadata=list%3D1', '/v2/sandboxes?metadata=list%3D1']) {
    const listed = async (key: string) =>
      ((await api.ask('GET', path, { key: keys[key] ?? '' })).json as { sandboxID: string }[])
        .map(({ sandboxID }) => sandboxID)
        .sort();
    expect(await listed('base only')).toEqual([plain]);
    expect(await listed('all')).toEqual([plain, own].sort());
  }
  const ids = `/sandboxes/metrics?sandbox_ids=${own}`;
  expect((await api.ask('GET', ids, { key: keys['base only'] ?? '' })).text).not.toContain(own);
});

test('an upload needs a signature: keys are of no use', async () => {
  const [route = ''] = signedOnly;
  for (const key of ['all', 'other team', 'revoked']) expect((await askInVain(route, key)).status).toBe(401);
});

test('a page shows a sandbox for a key with the scope, and asks others for a key', async () => {
  const [route = ''] = pages;
  const show = async (key: string): Promise<number> => {
    const { path } = await sampleOf(api, route, { isReal: true });
    const headers = { cookie: `soulbox_key=${keys[key] ?? ''}`, 'x-forwarded-for': fresh() };
    return (await api.ask('GET', path, { key: null, headers })).status;
  };
  expect(await show('viewer')).toBe(200);
  expect(await show('other team')).toBe(404);
  expect(await show('all but read')).toBe(403);
  expect(await show('extra only')).toBe(404);
  const { path } = await sampleOf(api, route, { isReal: true });
  const foreign = await api.ask('GET', path, {
    key: null,
    headers: { cookie: `soulbox_key=${keys['revoked'] ?? ''}` },
  });
  expect(foreign.text).toContain('API key');
});
