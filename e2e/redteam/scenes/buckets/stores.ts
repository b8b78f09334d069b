import { readFile } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { Sandbox } from 'e2b';
import { refuseBreaches } from '../../attempt.ts';
import type { Scene } from '../../attempt.ts';
import type { World } from '../../world.ts';
import { callApi } from '../call-api.ts';
import { forbiddenHosts } from '../named-addresses.ts';
import { storeUrl, withBucket, withMounted } from './known-bucket.ts';

const s3Keys = { accessKeyId: 'AKIAREDTEAM', secretAccessKey: 'no-secret' };

/** URLs of buckets at an endpoint, one for each kind of store. The bucket is `BUCKET`, and has no credentials. */
const urlsAt = (endpoint: string, bucket: string): string[] => [
  `s3://${bucket}?region=us-east-1&insecure=true&endpoint=${endpoint}`,
  `gs://${bucket}?insecure=true&endpoint=${endpoint}`,
  `azblob://${bucket}?account=redteam&insecure=true&endpoint=${endpoint}/redteam`,
];

async function nameEndpoints(world: World): Promise<string> {
  const { target, outside, host } = world;
  await outside.forget();
  const breaches: string[] = [];
  let count = 0;
  for (const address of forbiddenHosts)
    for (const url of urlsAt(`http://${address}/${host.word}`, 'redteam')) {
      const body = { name: `redteam-${count}`, url };
      const made = await callApi(world, target.apiKey, ['POST', '/buckets'], body);
      count += 1;
      if (made.status === 201) {
        const { bucketID } = JSON.parse(made.body) as { bucketID: string };
        breaches.push(`a bucket at ${url} is accepted`);
        await callApi(world, target.apiKey, ['POST', `/buckets/${bucketID}/check`]);
        await callApi(world, target.apiKey, ['DELETE', `/buckets/${bucketID}`]);
      } else if (made.status !== 400) breaches.push(`a bucket at ${url} returns ${made.status}`);
    }
  for (const url of ['file:///etc', 'file:///proc/self', `s3://x?region=a.evil/&endpoint=${storeUrl}`, 's3://../x'])
    if ((await callApi(world, target.apiKey, ['POST', '/buckets'], { name: 'redteam', url })).status !== 400)
      breaches.push(`${url} is accepted`);
  const heard = await outside.heard();
  breaches.push(...heard.filter((text) => text.includes(host.word)).map((text) => `a forbidden address heard ${text}`));
  refuseBreaches(breaches);
  await withBucket(world, { url: urlsAt(storeUrl, 'lying')[0] ?? '', credentials: s3Keys }, async (name) => {
    const { status, body } = await callApi(world, target.apiKey, ['POST', `/buckets/${name}/check`]);
    if (status !== 204) throw new Error(`a public store returns ${status}: ${body}`);
  });
  return `${count} endpoints refused; a public one is asked`;
}

const awayStatuses = ['301', '302', '307', '308'];
/** As names of buckets may contain it. */
const awayTo = ['169.254.169.254', '127.0.0.1', '198.18.0.1', '10.11.0.1'];

async function redirect(world: World): Promise<string> {
  const { target, outside } = world;
  await outside.forget();
  const breaches: string[] = [];
  const buckets = awayTo.flatMap((to, at) => [`away-${to}.${awayStatuses[at] ?? ''}`, `away-${to}`]);
  let asked = 0;
  await Promise.all(
    buckets.flatMap((bucket) =>
      urlsAt(storeUrl, bucket).map(async (url) => {
        const credentials = url.startsWith('s3:') ? { credentials: s3Keys } : {};
        const made = await callApi(world, target.apiKey, ['POST', '/buckets'], {
          ...{ name: `redteam-${randomBytes(6).toString('hex')}`, url, ...credentials },
        });
        // Not every kind of store has such names.
        if (made.status !== 201) return;
        const { bucketID } = JSON.parse(made.body) as { bucketID: string };
        const { status } = await slotted(
          async () => await callApi(world, target.apiKey, ['POST', `/buckets/${bucketID}/check`]),
        );
        if (status < 400) breaches.push(`a check of a store that sends to ${url} returns ${status}`);
        else if (status !== 429) asked += 1;
        await callApi(world, target.apiKey, ['DELETE', `/buckets/${bucketID}`]);
      }),
    ),
  );
  const heard = await outside.heard();
  const followed = heard.filter((text) => !text.startsWith('store ') && text.includes('away-'));
  breaches.push(...followed.map((text) => `a forbidden address heard ${text}`));
  refuseBreaches(breaches);
  const stores = heard.filter((text) => text.startsWith('store ')).length;
  if (asked < buckets.length || stores < awayTo.length) throw new Error(`only ${asked} checks reached the store`);
  return `${asked} checks were sent away, and none arrived`;
}

let last: Promise<unknown> = Promise.resolve();
/** A team has four checks at once: they wait for each other. */
async function slotted<T>(work: () => Promise<T>): Promise<T> {
  const next = last.then(work, work);
  last = next;
  return await next;
}

/** Credentials in what anybody sees: the store that gets them sends them back. */
async function tellCredentials(world: World): Promise<string> {
  const { target, neighbor } = world;
  const canary = (): string => `canary${randomBytes(12).toString('hex')}`;
  const [secretAccessKey, sessionToken] = [canary(), canary()];
  const credentials = { accessKeyId: 'AKIAREDTEAM', secretAccessKey, sessionToken };
  const url = urlsAt(storeUrl, 'tell')[0] ?? '';
  return await withBucket(world, { url, credentials }, async (name, id) => {
    const seen = new Map<string, string>();
    for (const [method, path] of [
      ...['/buckets', `/buckets/${id}`, `/buckets/${name}`].map((at) => ['GET', at] as const),
      ['POST', `/buckets/${id}/check`] as const,
      ['PATCH', `/buckets/${id}`] as const,
      ['GET', '/audit/records'] as const,
    ])
      seen.set(
        `${method} ${path}`,
        (await callApi(world, target.apiKey, [method, path], method === 'PATCH' ? { readOnly: false } : undefined))
          .body,
      );
    const inside = await withMounted(world, { name }, async (sandbox) => {
      const look =
        'ls -la /data /data/x; cat /data/x; echo x > /data/x; env; cat /proc/*/environ /proc/*/cmdline /proc/mounts /proc/self/mountinfo; grep -rsa canary /run /tmp /etc /.soulbox; true';
      const { stdout, stderr } = await sandbox.commands.run(`(${look}) 2>&1 | tr '\\0' ' '`, {
        ...{ user: 'root', timeoutMs: 120_000 },
      });
      return stdout + stderr;
    });
    if (!inside.includes('Permission denied')) throw new Error(`the store did not refuse: ${inside.slice(0, 300)}`);
    seen.set('a sandbox', inside);
    seen.set('the log of the server', await readFile(join(target.dataDirectory, 'server.log'), 'latin1'));
    refuseBreaches(
      [...seen]
        .filter(([, text]) => text.includes(secretAccessKey) || text.includes(sessionToken))
        .map(([where]) => `${where} has credentials`),
    );
    if (!(await world.outside.heard()).includes(`store got ${sessionToken}`)) throw new Error('the store got no token');
    const foreign: string[] = [];
    for (const [method, path] of [
      ...['GET', 'PATCH', 'DELETE'].map((verb) => [verb, `/buckets/${id}`] as const),
      ['GET', `/buckets/${name}`] as const,
      ['POST', `/buckets/${id}/check`] as const,
    ]) {
      const body = method === 'PATCH' ? { readOnly: true } : undefined;
      const answer = await callApi(world, neighbor.apiKey, [method, path], body);
      if (answer.status !== 404) foreign.push(`${method} ${path} of another team returns ${answer.status}`);
    }
    for (const wanted of [id, name, `../${id}`, `${id}\0`]) {
      const body = { templateID: 'base', timeout: 60, bucketMounts: [{ name: wanted, path: '/data' }] };
      const answer = await callApi(world, neighbor.apiKey, ['POST', '/v2/sandboxes'], body);
      if (answer.status >= 400 && answer.status < 500) continue;
      foreign.push(`another team mounts ${JSON.stringify(wanted)}: ${answer.status}`);
      const { sandboxID } = JSON.parse(answer.body) as { sandboxID?: string };
      if (sandboxID !== undefined) await Sandbox.kill(sandboxID, { apiKey: neighbor.apiKey });
    }
    refuseBreaches(foreign);
    return `${seen.size} places have no credentials, though the store tells them; another team has nine refusals`;
  });
}

const stores = { kind: 'scene', wall: 'bucketStores', by: ['outside'] } as const;

export const bucketStores: readonly Scene[] = [
  { ...stores, pace: 'quick', name: 'names forbidden addresses as endpoints of buckets', run: nameEndpoints },
  { ...stores, pace: 'long', name: 'sends the bucket service from a store to forbidden addresses', run: redirect },
  {
    ...stores,
    pace: 'quick',
    name: 'gets credentials of a bucket from errors, logs and sandboxes',
    run: tellCredentials,
  },
];
