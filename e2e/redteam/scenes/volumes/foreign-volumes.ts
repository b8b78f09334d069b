import { Sandbox } from 'e2b';
import { refuseBreaches } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import type { World } from '../../world.ts';
import { callApi } from '../call-api.ts';
import { ask } from '../raw.ts';
import { askContents, contentCalls, withVolumes } from './both-teams.ts';
import type { Volumes } from './both-teams.ts';

const isRefused = (status: number): boolean => status >= 400 && status < 500;

/** Contents of the neighbor's volume with everything that is valid elsewhere. */
async function openForeignContents(world: World): Promise<string> {
  const { target, neighbor, attackerToken } = world;
  return await withVolumes(world, async ({ own, theirs }) => {
    const flipped = theirs.token.replace(/.$/, (last) => (last === 'A' ? 'B' : 'A'));
    const credentials: Readonly<Record<string, string>>[] = [
      {},
      { 'x-api-key': target.apiKey },
      { 'x-api-key': theirs.token },
      { authorization: `Bearer ${target.apiKey}` },
      ...[own.token, flipped, theirs.token.slice(0, -1), `${theirs.token} x`, theirs.token.toUpperCase()].map(
        (token) => ({ authorization: `Bearer ${token}` }),
      ),
      ...[attackerToken, theirs.id, `${own.token},${theirs.token}`].map((token) => ({
        authorization: `Bearer ${token}`,
      })),
      { authorization: `Basic ${Buffer.from(`x:${theirs.token}`).toString('base64')}` },
      { cookie: `authorization=Bearer ${theirs.token}` },
    ];
    // The same volume by other forms of its address, one of them behind the attacker's own.
    const addresses = [theirs.id, theirs.name, `${own.id}/../${theirs.id}`, `${own.id}%2f..%2f${theirs.id}`];
    const breaches: string[] = [];
    let calls = 0;
    for (const address of addresses)
      for (const [method, path, body] of contentCalls(address, '/secret'))
        for (const given of credentials) {
          const type = method === 'PATCH' ? 'application/json' : 'application/octet-stream';
          const headers = { ...given, ...(body === undefined ? {} : { 'content-type': type }) };
          const answer = await ask(target.port, path, { method, headers, ...(body === undefined ? {} : { body }) });
          calls += 1;
          if (!isRefused(answer.status) || answer.body.includes(neighbor.word))
            breaches.push(`${method} ${path} with ${Object.keys(given).join()} returns ${answer.status}`);
        }
    refuseBreaches(breaches);
    return `${calls} calls refused; the volume's own token reads and lists it`;
  });
}

/** A token of contents opens nothing else, not even of its own team. */
async function useTokenElsewhere(world: World): Promise<string> {
  return await withVolumes(world, async ({ own, theirs }) => {
    const { target } = world;
    const calls = [
      ...[
        '/volumes',
        `/volumes/${own.id}`,
        `/volumes/${own.id}/usage`,
        '/v2/sandboxes',
        '/teams',
        '/buckets',
        '/api-keys',
        '/secrets',
      ].map((path) => ['GET', path] as const),
      ['DELETE', `/volumes/${own.id}`] as const,
      ['POST', '/volumes'] as const,
      ['POST', '/v2/sandboxes'] as const,
    ];
    const breaches: string[] = [];
    for (const [method, path] of calls)
      for (const name of ['authorization', 'x-api-key', 'x-access-token']) {
        const value = name === 'authorization' ? `Bearer ${own.token}` : own.token;
        const headers = { [name]: value, 'content-type': 'application/json' };
        const body = method === 'POST' ? { body: '{"name":"taken","templateID":"base"}' } : {};
        const { status } = await ask(target.port, path, { method, headers, ...body });
        if (!isRefused(status)) breaches.push(`${method} ${path} with the token as ${name} returns ${status}`);
      }
    const other = await askContents(world, own.token, ['GET', `/volumecontent/${theirs.id}/file?path=/secret`]);
    if (!isRefused(other.status)) breaches.push(`the token opens another volume: ${other.status}`);
    refuseBreaches(breaches);
    const right = await askContents(world, own.token, ['GET', `/volumecontent/${own.id}/file?path=/own`]);
    if (right.body !== 'own') throw new Error(`the token does not open its own volume: ${right.status}`);
    return `${calls.length} routes refuse the token in three headers; it opens its own volume`;
  });
}

/** Names that a volume of somebody else might have. */
const namesOf = ({ own, theirs }: Volumes): readonly unknown[] => [
  ...[theirs.id, theirs.name, theirs.id.toUpperCase(), ` ${theirs.id}`, `${theirs.id}\0`, `${theirs.id}/`],
  ...[`../${theirs.id}`, `${own.id}/../${theirs.id}`, `%2e%2e/${theirs.id}`, '..', '.', '', '*', '%'],
  ...[[theirs.id], { name: theirs.id }, null, 0],
];

/** Paths where a volume would hide or reach what is not the tenant's. */
const badPaths = [
  ...['/', '//', '', 'data', '/data/../proc', '/data/./x', '/data//x', '/data\0', '/data\n', '/[data]', '/data/'],
  ...['/proc', '/proc/sys', '/sys/fs/cgroup', '/dev', '/dev/shm', '/run', '/run/x', '/.soulbox', '/.soulbox/x'],
];

/** A volume of the neighbor as a mount, a copy, a source; and mounts of the own volume at forbidden places. */
async function mountForeign(world: World): Promise<string> {
  const { target, neighbor } = world;
  return await withVolumes(world, async (volumes) => {
    const { own, theirs } = volumes;
    const mounts = [
      ...namesOf(volumes).map((name) => [{ name, path: '/data' }]),
      ...badPaths.map((path) => [{ name: own.name, path }]),
      [
        { name: own.name, path: '/a' },
        { name: theirs.id, path: '/a/b' },
      ],
      Array.from({ length: 11 }, (_, n) => ({ name: own.name, path: `/many/${n}` })),
    ];
    const breaches: string[] = [];
    for (const volumeMounts of mounts) {
      const body = { templateID: 'base', timeout: 60, volumeMounts };
      const answer = await callApi(world, target.apiKey, ['POST', '/v2/sandboxes'], body);
      if (isRefused(answer.status)) continue;
      breaches.push(`a create with ${JSON.stringify(volumeMounts).slice(0, 120)} returns ${answer.status}`);
      const { sandboxID } = JSON.parse(answer.body) as { sandboxID?: string };
      if (sandboxID !== undefined) await Sandbox.kill(sandboxID);
    }
    for (const from of [theirs.id, theirs.name]) {
      const copied = await callApi(world, target.apiKey, ['POST', '/volumes'], { name: 'copied', from });
      if (!isRefused(copied.status)) breaches.push(`a copy of ${from} returns ${copied.status}`);
      for (const method of ['GET', 'DELETE']) {
        const { status } = await callApi(world, target.apiKey, [method, `/volumes/${from}`]);
        if (!isRefused(status)) breaches.push(`${method} /volumes/${from} returns ${status}`);
      }
      const usage = await callApi(world, target.apiKey, ['GET', `/volumes/${from}/usage`]);
      if (!isRefused(usage.status)) breaches.push(`the usage of ${from} returns ${usage.status}`);
    }
    const listed = await callApi(world, target.apiKey, ['GET', '/volumes']);
    if (listed.body.includes(theirs.id)) breaches.push('the list shows it');
    refuseBreaches(breaches);
    await readAsNeighbor(world, theirs.name);
    return `${mounts.length} mounts and all copies refused; the neighbor mounts its volume and reads ${neighbor.word.length} bytes`;
  });
}

/** The control: with the key of its team, the volume can be mounted. */
async function readAsNeighbor({ neighbor }: World, name: string): Promise<void> {
  const { apiKey } = neighbor;
  const sandbox = await Sandbox.create({ apiKey, timeoutMs: 60_000, volumeMounts: { '/data': name } });
  try {
    const { stdout } = await sandbox.commands.run('cat /data/secret');
    if (stdout !== neighbor.word) throw new Error('the neighbor does not see its own file');
  } finally {
    await sandbox.kill();
  }
}

const outside = { kind: 'scene', by: ['outside'], pace: 'quick' } as const;

export const foreignVolumes: readonly Scene[] = [
  {
    ...{ ...outside, wall: 'volumeContents' },
    name: 'opens contents of a foreign volume with credentials of elsewhere',
    run: openForeignContents,
  },
  { ...outside, wall: 'volumeContents', name: 'uses the token of a volume elsewhere', run: useTokenElsewhere },
  {
    ...{ ...outside, wall: 'volumePlaces' },
    name: 'mounts, copies and deletes a foreign volume, and mounts at forbidden places',
    run: mountForeign,
  },
];
