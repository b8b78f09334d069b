import { Filesystem } from '@soulbox/contract/filesystem';
import { Process } from '@soulbox/contract/process';
import { fileSignature } from '@soulbox/contract';
import { Sandbox } from 'e2b';
import { Breach, refuseBreaches } from '../attempt.ts';
import type { Scene } from '../attempt.ts';
import type { World } from '../world.ts';
import { ask, sendRaw, toPort } from './raw.ts';
import { callRoute, listRoutes } from './routes.ts';
import { startMs } from './smuggling.ts';

const envdPort = 49983;

/** Things of the other team, by the placeholder of a route's path. */
async function makeTheirs(world: World): Promise<Record<string, string>> {
  const { neighbor, target } = world;
  const call = async (method: string, path: string, body?: object): Promise<Record<string, string>> => {
    const headers = { 'x-api-key': neighbor.apiKey, 'content-type': 'application/json' };
    const answer = await ask(target.port, path, {
      method,
      headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.body}`);
    const json = JSON.parse(answer.body) as unknown;
    return (Array.isArray(json) ? json[0] : json) as Record<string, string>;
  };
  const { snapshotID = '' } = await call('POST', `/sandboxes/${neighbor.sandbox.sandboxId}/snapshots`, {});
  const webhook = await call('POST', '/events/webhooks', {
    ...{ name: 'theirs', url: 'https://example.com/', events: ['sandbox.lifecycle.created'] },
    signatureSecret: 'redteam-secret',
  });
  const key = await call('POST', '/api-keys', { name: 'theirs' });
  const team = await call('GET', '/teams');
  const volume = await call('POST', '/volumes', { name: 'theirs' });
  const bucket = await call('POST', '/buckets', { name: 'theirs', url: 's3://theirs?region=us-east-1' });
  return {
    sandboxID: neighbor.sandbox.sandboxId,
    snapshotID,
    templateID: snapshotID,
    alias: snapshotID,
    webhookID: webhook['id'] ?? '',
    apiKeyID: key['id'] ?? '',
    teamID: team['teamID'] ?? '',
    volumeID: volume['volumeID'] ?? '',
    bucketID: bucket['bucketID'] ?? '',
  };
}

/** Every route with the ids of the other team, with the attacker's valid key. */
async function callAllRoutes(world: World): Promise<string> {
  const { target, neighbor } = world;
  const theirs = await makeTheirs(world);
  try {
    const routes = (await listRoutes(world)).filter(({ path }) => /\{[^}]+\}/.test(path));
    const breaches: string[] = [];
    let called = 0;
    let reachable = 0;
    for (const { method, path } of routes) {
      const names = [...path.matchAll(/\{([^}]+)\}/g)].map(([, name = '']) => name);
      if (!names.some((name) => theirs[name] !== undefined)) continue;
      const concrete = path.replace(/\{([^}]+)\}/g, (_, name: string) => theirs[name] ?? 'x');
      const answer = await callRoute(world, method, concrete, target.apiKey);
      called += 1;
      // Routes of later versions say so before they look at anything. The events of an unknown sandbox are none.
      if (answer.status !== 501 && answer.body !== '[]' && (answer.status < 400 || answer.status >= 500))
        breaches.push(
          `${method} ${path} with another team's id returns ${answer.status}: ${answer.body.slice(0, 200)}`,
        );
      // The control: its own team reaches the same thing.
      if (method === 'GET' && (await callRoute(world, method, concrete, neighbor.apiKey)).status === 200)
        reachable += 1;
    }
    refuseBreaches(breaches);
    if (called < 20 || reachable < 4)
      throw new Error(`only ${called} calls, ${reachable} of them possible for their team`);
    if (!(await neighbor.sandbox.isRunning())) throw new Breach('the sandbox of the other team does not run any more');
    return `${called} calls refused; their own team can make ${reachable} of the reading ones`;
  } finally {
    await Sandbox.deleteSnapshot(theirs['snapshotID'] ?? '', { apiKey: neighbor.apiKey });
    await callRoute(world, 'DELETE', `/volumes/${theirs['volumeID'] ?? ''}`, neighbor.apiKey);
    await callRoute(world, 'DELETE', `/buckets/${theirs['bucketID'] ?? ''}`, neighbor.apiKey);
  }
}

const auditLogs: ReadonlySet<string> = new Set(['/audit/records', '/audit/export']);

async function readLists(world: World): Promise<string> {
  const { target, neighbor } = world;
  // The audit log of a team has the ids for which the team itself has asked.
  const routes = (await listRoutes(world)).filter(
    ({ method, path }) => method === 'GET' && !path.includes('{') && !auditLogs.has(path),
  );
  const breaches: string[] = [];
  for (const { path } of routes) {
    for (const query of ['', `?sandbox_ids=${neighbor.sandbox.sandboxId}`, `?teamID=x&team=x&metadata=a%3Db`]) {
      const { body } = await ask(target.port, path + query, { headers: { 'x-api-key': target.apiKey } });
      if (body.includes(neighbor.sandbox.sandboxId) || body.includes(neighbor.apiKey))
        breaches.push(`GET ${path}${query}`);
    }
  }
  refuseBreaches(breaches.map((text) => `${text} shows the other team's sandbox`));
  const own = await ask(target.port, '/v2/sandboxes', { headers: { 'x-api-key': neighbor.apiKey } });
  if (!own.body.includes(neighbor.sandbox.sandboxId)) throw new Error('the other team does not see its own sandbox');
  return `${routes.length} lists show nothing of the other team, whose own list has its sandbox`;
}

/** Every RPC and route of envd, with credentials that are valid elsewhere. */
async function callEnvd(world: World): Promise<string> {
  const { target, attackerToken, neighbor } = world;
  const rpcs = [Process, Filesystem].flatMap((service) =>
    service.methods.map((method) => [`POST`, `/${service.typeName}/${method.name}`] as const),
  );
  const others = [
    'GET /files?path=/etc/passwd',
    'POST /files?path=/tmp/x',
    'POST /files/compose',
    'GET /metrics',
    'GET /envs',
  ];
  const calls = [...rpcs, ...others.map((text) => text.split(' ') as [string, string])];
  const credentials: Record<string, string>[] = [
    {},
    { 'x-access-token': attackerToken },
    { 'x-access-token': target.apiKey },
    { 'x-access-token': neighbor.apiKey },
    { 'x-access-token': `${neighbor.token} ` + 'x' },
    { 'x-access-token': neighbor.token.slice(0, -1) },
    { 'x-access-token': neighbor.token.toUpperCase() },
    { 'x-api-key': neighbor.apiKey },
    { authorization: `Bearer ${neighbor.token}` },
    { cookie: `x-access-token=${neighbor.token}` },
    { 'e2b-traffic-access-token': neighbor.token },
    { 'x-soulbox-host-token': neighbor.token },
  ];
  const breaches: string[] = [];
  for (const [method, path] of calls)
    for (const given of credentials) {
      const headers = { ...toPort(neighbor.sandbox.sandboxId, envdPort), 'content-type': 'application/json', ...given };
      const { status } = await ask(target.port, path, {
        method,
        headers,
        ...(method === 'POST' ? { body: '{}' } : {}),
      });
      if (status !== 401)
        breaches.push(`${method} ${path} with ${JSON.stringify(Object.keys(given))} returns ${status}`);
    }
  refuseBreaches(breaches);
  const headers = { ...toPort(neighbor.sandbox.sandboxId, envdPort), 'x-access-token': neighbor.token };
  const own = await ask(target.port, '/files?path=/etc/passwd', { headers });
  if (own.status !== 200) throw new Error(`the right token returns ${own.status}`);
  return `${calls.length} calls with ${credentials.length} wrong credentials return 401; the right token works`;
}

async function signForOthers(world: World): Promise<string> {
  const { target, attackerToken, neighbor } = world;
  const file = { path: '/etc/passwd', operation: 'read', username: 'user', expiration: undefined } as const;
  const url = (token: string, change: (query: URLSearchParams) => void = () => undefined): string => {
    const query = new URLSearchParams({
      path: file.path,
      username: file.username,
      signature: fileSignature(file, token),
    });
    change(query);
    return `/files?${query.toString()}`;
  };
  const to = toPort(neighbor.sandbox.sandboxId, envdPort);
  const wrong = [
    url(attackerToken),
    url(''),
    url(neighbor.token, (query) => query.set('path', '/etc/hostname')),
    url(neighbor.token, (query) => query.set('username', 'root')),
    url(neighbor.token, (query) => query.append('path', '/etc/hostname')).replace(
      /^\/files\?path=[^&]*&/,
      '/files?path=/etc/hostname&',
    ),
    url(neighbor.token, (query) => query.set('signature_expiration', '9999999999')),
    url(neighbor.token, (query) => query.set('signature', query.get('signature')?.toLowerCase() ?? '')),
    url(neighbor.token, (query) => query.set('signature', `${query.get('signature') ?? ''}A`)),
    url(neighbor.token, (query) => query.set('signature', `${query.get('signature') ?? ''}=`)),
    url(neighbor.token, (query) => query.set('signature', query.get('signature')?.replace('v1_', 'v0_') ?? '')),
  ];
  const breaches: string[] = [];
  for (const path of wrong) {
    const { status } = await ask(target.port, path, { headers: to });
    if (status < 400) breaches.push(`${path} returns ${status}`);
    if ((await ask(target.port, url(neighbor.token), { method: 'POST', headers: to, body: 'x' })).status < 400)
      breaches.push('a signature for reading allows writing');
  }
  refuseBreaches(breaches);
  if ((await ask(target.port, url(neighbor.token), { headers: to })).status !== 200)
    throw new Error('the right one fails');
  return `${wrong.length} changed signatures refused; the right one works`;
}

async function forgeKeys(world: World): Promise<string> {
  const { target } = world;
  const key = target.apiKey;
  const wrong = [
    '',
    key.slice(0, -1),
    `${key}0`,
    key.toUpperCase(),
    key.slice(0, 8),
    `${key.slice(0, -1)}%`,
    `' OR '1'='1`,
    '*',
    'e2b_',
    `${key},${key}`,
    'null',
    'undefined',
    '[object Object]',
    key.split('').reverse().join(''),
  ];
  const breaches: string[] = [];
  for (const apiKey of wrong) {
    const { status } = await ask(target.port, '/v2/sandboxes', { headers: { 'x-api-key': apiKey } });
    if (status !== 401 && status !== 429) breaches.push(`${JSON.stringify(apiKey.slice(0, 12))} returns ${status}`);
  }
  const twice = await sendRaw(
    target.port,
    `GET /v2/sandboxes HTTP/1.1\r\nHost: localhost\r\nX-API-Key: x\r\nX-API-Key: ${key}\r\nConnection: close\r\n\r\n`,
  );
  if (/^HTTP\/1\.1 200/.test(twice)) breaches.push('a second key counts behind a wrong one');
  refuseBreaches(breaches);
  return `${wrong.length} forged keys refused`;
}

/** The port of a sandbox that is not public. */
async function openClosedPort(world: World): Promise<string> {
  return await world.withSandbox(
    async (sandbox) => {
      const { port } = world.target;
      const own = sandbox.trafficAccessToken ?? '';
      if (own === '') throw new Error('the sandbox has no traffic token');
      await sandbox.commands.run('cd /tmp && python3 -m http.server 8000', { background: true, timeoutMs: 0 });
      const to = toPort(sandbox.sandboxId, 8000);
      const status = async (headers: Record<string, string>): Promise<number> =>
        (await ask(port, '/', { headers: { ...to, ...headers } })).status;
      const giveUpAt = Date.now() + startMs;
      while ((await status({ 'e2b-traffic-access-token': own })) !== 200)
        if (Date.now() > giveUpAt) throw new Error('the service does not answer');
      const tokens = ['', 'x', own.slice(0, -1), own.toUpperCase(), world.attackerToken, world.target.apiKey];
      const breaches: string[] = [];
      for (const token of tokens)
        if ((await status({ 'e2b-traffic-access-token': token })) < 400)
          breaches.push(`the token "${token.slice(0, 5)}..." opens it`);
      if ((await status({})) < 400) breaches.push('it is open without a token');
      if ((await status({ cookie: `e2b-traffic-access-token=${own}` })) < 400) breaches.push('a cookie opens it');
      refuseBreaches(breaches);
      if ((await status({ 'e2b-traffic-access-token': own })) !== 200)
        throw new Error('the right token does not open it');
      return `${tokens.length + 2} forms without the right token refused; the right one opens it`;
    },
    { network: { allowPublicTraffic: false } },
  );
}

const teams = { kind: 'scene', wall: 'teams', by: ['outside'] } as const;

export const tenants: readonly Scene[] = [
  { ...teams, pace: 'quick', name: 'calls every route of the API with ids of another team', run: callAllRoutes },
  { ...teams, pace: 'quick', name: 'looks for another team in every list', run: readLists },
  { ...teams, pace: 'quick', name: 'calls every RPC of a foreign envd with credentials of elsewhere', run: callEnvd },
  { ...teams, pace: 'quick', name: 'changes signatures of file URLs', run: signForOthers },
  { ...teams, pace: 'quick', name: 'forges API keys', run: forgeKeys },
  { ...teams, pace: 'quick', name: 'opens a port that is not public', run: openClosedPort },
];
