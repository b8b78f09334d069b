import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { ask } from './raw.ts';
import { callRoute, listRoutes } from './routes.ts';

interface MadeKey {
  readonly id: string;
  readonly key: string;
  readonly scopes: readonly string[];
}

/** Makes a key by a key; the body is text, so that it can be anything. */
async function makeKey(world: World, apiKey: string, body: string): Promise<MadeKey | undefined> {
  const headers = { 'x-api-key': apiKey, 'content-type': 'application/json' };
  const answer = await ask(world.target.port, '/api-keys', { method: 'POST', headers, body });
  return answer.status === 201 ? (JSON.parse(answer.body) as MadeKey) : undefined;
}

/** Gives the attempt a weak key of the attacker's own team. */
async function withKey(world: World, rights: object, use: (key: string) => Promise<string>): Promise<string> {
  const { apiKey } = world.target;
  const made = await makeKey(world, apiKey, JSON.stringify({ name: 'redteam weak', ...rights }));
  if (made === undefined) throw new Error('the weak key could not be made');
  try {
    return await use(made.key);
  } finally {
    await callRoute(world, 'DELETE', `/api-keys/${made.id}`, apiKey);
  }
}

/** Every route about the attacker's own sandbox, with a key that may only read. */
async function changeWithViewer(world: World): Promise<string> {
  return await withKey(world, { role: 'viewer' }, async (key) => {
    const breaches: string[] = [];
    let read = 0;
    let refused = 0;
    for (const { method, path } of await listRoutes(world)) {
      const concrete = path
        .replace('{sandboxID}', world.attacker.sandboxId)
        .replace(/\{[^}]+\}/g, () => 'base')
        .replace(/metrics$/, `metrics?sandbox_ids=${world.attacker.sandboxId}`);
      const { status, body } = await callRoute(world, method, concrete, key);
      if (method === 'GET' && status === 200) read += 1;
      if (status === 403) refused += 1;
      // What needs a signature, or says before the body is read that it does not have the scope.
      const isRefused = [401, 403].includes(status) || path === '/signed-urls';
      if (method !== 'GET' && !isRefused) breaches.push(`${method} ${path} returns ${status}: ${body.slice(0, 100)}`);
      if (body.includes(world.attackerToken)) breaches.push(`${method} ${path} shows the token of the sandbox`);
    }
    refuseBreaches(breaches);
    if (read < 10 || refused < 40) throw new Error(`only ${read} readable and ${refused} refused routes`);
    if (!(await world.attacker.isRunning())) throw new Breach('the sandbox does not run any more');
    return `${refused} routes return 403, ${read} can be read, and none shows the token`;
  });
}

/** A key for keys tries to get more by making others. */
async function climb(world: World): Promise<string> {
  return await withKey(world, { scopes: ['admin'] }, async (key) => {
    const bodies = [
      '{"name":"x","scopes":["run"]}',
      '{"name":"x","role":"admin"}',
      '{"name":"x","role":"developer","scopes":[]}',
      '{"name":"x","scopes":["admin"],"scopes":["create"]}',
      '{"name":"x","scopes":["admin","read"]}',
      '{"name":"x","scopes":"create run read admin"}',
      '{"name":"x","scopes":["admin run"]}',
      '{"name":"x","__proto__":{"role":"admin"}}',
      '{"name":"x","constructor":{"prototype":{"scopes":["run"]}}}',
      '{"name":"x","isolation":"container","templates":[],"expiresAt":null}',
      '{"name":"x"}',
    ];
    const breaches: string[] = [];
    let made = 0;
    for (const body of bodies) {
      const next = await makeKey(world, key, body);
      if (next === undefined) continue;
      made += 1;
      if (next.scopes.join() !== 'admin') breaches.push(`${body} gives ${next.scopes.join()}`);
      const { status } = await callRoute(world, 'GET', `/sandboxes/${world.attacker.sandboxId}`, next.key);
      if (status !== 403) breaches.push(`the key of ${body} gets ${status} for a sandbox`);
      await callRoute(world, 'DELETE', `/api-keys/${next.id}`, key);
    }
    refuseBreaches(breaches);
    if (made === 0) throw new Error('the key could make no key at all');
    return `${bodies.length} bodies; the ${made} keys that were made have the scope admin alone`;
  });
}

/** A key of another template tries every route of a sandbox, with every spelling of its id. */
async function leaveTemplate(world: World): Promise<string> {
  const rights = { role: 'developer', templates: ['no-such-template'] };
  return await withKey(world, rights, async (key) => {
    const id = world.attacker.sandboxId;
    const routes = (await listRoutes(world)).filter(({ path }) => path.includes('{sandboxID}'));
    const breaches: string[] = [];
    for (const { method, path } of routes)
      for (const spelling of [id, `${id}-soulbox`, `%69${id.slice(1)}`, id.toUpperCase()]) {
        const { status, body } = await callRoute(world, method, path.replace('{sandboxID}', spelling), key);
        if (![403, 404, 501].includes(status))
          breaches.push(`${method} ${path} returns ${status}: ${body.slice(0, 80)}`);
      }
    for (const path of ['/v2/sandboxes', '/sandboxes', '/templates', `/sandboxes/metrics?sandbox_ids=${id}`]) {
      const { body } = await callRoute(world, 'GET', path, key);
      if (body.includes(id) || body.includes('"base"')) breaches.push(`GET ${path} shows another template`);
    }
    refuseBreaches(breaches);
    if (routes.length < 10) throw new Error(`only ${routes.length} routes`);
    return `${routes.length} routes with four spellings of the id refused`;
  });
}

/** Guesses the rest of a key whose public part is known. */
async function guess(world: World): Promise<string> {
  return await withKey(world, { role: 'viewer' }, async (key) => {
    const tries = 30;
    const statuses: number[] = [];
    for (let n = 0; n < tries; n++) {
      const wrong = key.slice(0, 12) + n.toString(16).padStart(key.length - 12, '0');
      statuses.push((await callRoute(world, 'GET', '/teams', wrong)).status);
    }
    if (statuses.some((status) => status !== 401 && status !== 429)) throw new Breach(`statuses ${statuses.join()}`);
    if (statuses.at(-1) !== 429) throw new Breach(`${tries} guesses at one key are all looked up`);
    const right = await callRoute(world, 'GET', '/teams', world.target.apiKey);
    if (right.status !== 200) throw new Breach(`a right key of the same address gets ${right.status}`);
    return `${statuses.filter((status) => status === 401).length} of ${tries} guesses looked up; another key works`;
  });
}

const keysWall = { kind: 'scene', wall: 'keys', by: ['outside'], pace: 'quick' } as const;

export const keys: readonly Scene[] = [
  { ...keysWall, name: 'calls every route with a key that may only read', run: changeWithViewer },
  { ...keysWall, name: 'makes a stronger key with a weak one', run: climb },
  { ...keysWall, name: 'reaches a sandbox of another template with a restricted key', run: leaveTemplate },
  { ...keysWall, name: 'guesses a key of which it knows the beginning', run: guess },
];
