/** @module-tag violation */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, open, readdir, readFile, rm, statfs } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree, run } from '@soulbox/base';
import { listHostTraces, nodeProgram, startServer, testDirectory, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

const instance = ownInstance();
const mib = 2 ** 20;
const diskMib = 3072;
let folder: string;
/** A separate file system that contains only the data folder. */
let disk: string;
let server: ServerProcess;

beforeAll(async () => {
  await mkdir(testDirectory, { recursive: true, mode: 0o700 });
  folder = await mkdtemp(join(testDirectory, 'full-disk-'));
  disk = join(folder, 'disk');
  const image = join(folder, 'image');
  const file = await open(image, 'wx');
  await file.truncate(diskMib * mib);
  await file.close();
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', image]);
  await mkdir(disk);
  await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);
  const environment = { SOULBOX_ISOLATION: shared.isolation, SOULBOX_WEBHOOK_ALLOW_PRIVATE: '127.0.0.1' };
  server = await startServer({ instance, dataDirectory: join(disk, 'data'), poolSize: 2, environment });
});
afterAll(async () => {
  await rm(ballast(), { force: true });
  await server.stop();
  expect(await listHostTraces(instance)).toEqual([]);
  // The kernel releases the loop devices of its sandboxes a moment later.
  const unmount = async (): Promise<boolean> =>
    await run('umount', ['--', disk]).then(
      () => true,
      () => false,
    );
  await until('the disk to be let go', unmount);
  await removeTree(folder);
});

const ballast = (): string => join(disk, 'ballast');
const makeRoom = async (): Promise<void> => await rm(ballast(), { force: true });
const connection = (): { apiUrl: string; sandboxUrl: string; apiKey: string } => ({
  apiUrl: server.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server.clientEnvironment['E2B_API_KEY'] ?? '',
});

/** Fills the disk to the last block from outside, as another program of the host would. */
async function fillDisk(): Promise<void> {
  const { bavail, bsize } = await statfs(disk);
  await run('fallocate', ['--length', String(bavail * bsize - 8 * mib), ballast()]);
  // ext4 frees the blocks of deleted files a moment later, when it commits its journal.
  const isFull = async (): Promise<boolean> => {
    await run('sync', ['--file-system', disk]);
    await expect(
      run('dd', ['if=/dev/zero', `of=${ballast()}`, 'bs=4k', 'oflag=append', 'conv=notrunc']),
    ).rejects.toThrow('No space left');
    const left = await statfs(disk);
    return left.bavail * left.bsize < 64 * 1024;
  };
  await until('a full disk', isFull, 30_000);
}

interface Answer {
  readonly status: number;
  readonly json: unknown;
  readonly text: string;
}

async function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const answer = await fetch(connection().apiUrl + path, {
    method,
    headers: {
      'x-api-key': connection().apiKey,
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  return { status: answer.status, json, text };
}

async function cli(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const main = join(import.meta.dirname, '../../apps/cli/bin/soulbox.mjs');
  const environment = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    SOULBOX_TEMPLATES_DIR: testTemplatesDirectory,
  };
  const all = [main, ...args, '--data-dir', server.dataDirectory];
  try {
    return { code: 0, ...(await promisify(execFile)(nodeProgram, all, { env: environment })) };
  } catch (error) {
    return error as { code: number; stdout: string; stderr: string };
  }
}

/** Everything that a team can see of its own. */
async function readLists(): Promise<Record<string, unknown>> {
  const paths = [
    '/v2/sandboxes',
    '/snapshots',
    '/templates',
    '/api-keys',
    '/events/webhooks',
    '/functions',
    '/kv',
    '/volumes',
    '/buckets',
  ];
  const lists = await Promise.all(paths.map(async (path) => [path, await ask('GET', path)] as const));
  for (const [path, { status }] of lists) expect([path, status]).toEqual([path, 200]);
  return Object.fromEntries(lists.map(([path, { json }]) => [path, withoutTimes(json)]));
}

/** The last use of a key may be recorded later. */
function withoutTimes(json: unknown): unknown {
  return JSON.parse(JSON.stringify(json, (name, value: unknown) => (name === 'lastUsed' ? null : value)));
}

async function expectTruth(): Promise<void> {
  const listed = ((await ask('GET', '/v2/sandboxes?state=running')).json as { sandboxID: string }[]).map(
    (each) => each.sandboxID,
  );
  for (const id of listed) expect(await isAlive(id)).toBe(true);
}

async function isAlive(id: string): Promise<boolean> {
  const answer = await fetch(`${connection().sandboxUrl}/health`, {
    headers: { 'E2b-Sandbox-Id': id, 'E2b-Sandbox-Port': '49983' },
  });
  await answer.arrayBuffer();
  return answer.status === 204;
}

/**
 * Routes to programs inside a sandbox, and those of people, whom this server does not have
 * (apps/api/src/personal-tokens/full-disk.test.ts).
 */
const publicKeyOf = (letter: string): string => `ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI${letter.repeat(43)}`;
const [firstPublicKey, newPublicKey] = [publicKeyOf('A'), publicKeyOf('B')];
const needNoRoom = [
  ...['POST /functions/{name}/invoke', 'POST /sandboxes/{sandboxID}/run'],
  // With another token, tried on its own.
  'PATCH /teams/{teamID}/limits',
  ...['POST /personal-tokens', 'DELETE /personal-tokens/{tokenID}', 'DELETE /auth/session'],
  ...['POST /personal-ssh-keys', 'DELETE /personal-ssh-keys/{sshKeyID}'],
];

/** Fails if a route is missing here, so that new routes are tested, too. */
async function expectAllTried(
  tried: readonly (readonly [method: string, path: string, ...unknown[]])[],
): Promise<void> {
  const { paths } = (await ask('GET', '/openapi.json')).json as { paths: Record<string, Record<string, unknown>> };
  const missing = Object.entries(paths).flatMap(([path, methods]) => {
    const pattern = new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, '[^/]+')}(\\?.*)?$`);
    const changing = Object.keys(methods).filter((method) => method !== 'get');
    return changing
      .map((method) => method.toUpperCase())
      .filter((method) => !tried.some(([triedMethod, triedPath]) => triedMethod === method && pattern.test(triedPath)))
      .map((method) => `${method} ${path}`);
  });
  expect(missing.filter((route) => !needNoRoom.includes(route))).toEqual([]);
}

test('at 0 bytes free reading, ending and deleting work, and everything else returns 507 with a reason and changes nothing', async () => {
  const receiver = createServer((_request, response) => response.end()).listen(0, '127.0.0.1');
  await once(receiver, 'listening');
  const url = `http://127.0.0.1:${String((receiver.address() as { port: number }).port)}/`;
  const create = async (): Promise<string> => (await Sandbox.create({ ...connection(), timeoutMs: 600_000 })).sandboxId;
  const running = await create();
  const doomed = await create();
  const paused = await create();
  expect((await ask('POST', `/sandboxes/${paused}/pause`)).status).toBe(204);
  const doomedPaused = await create();
  expect((await ask('POST', `/sandboxes/${doomedPaused}/pause`)).status).toBe(204);
  const snapshot = (await ask('POST', `/sandboxes/${running}/snapshots`, { name: 'kept' })).json as {
    snapshotID: string;
  };
  await ask('POST', '/api-keys', { name: 'second' });
  const key = (await ask('POST', '/api-keys', { name: 'to be revoked' })).json as { id: string };
  const sshKey = (await ask('POST', '/ssh-keys', { publicKey: firstPublicKey })).json as { sshKeyID: string };
  const webhook = (
    await ask('POST', '/events/webhooks', {
      name: 'w',
      url,
      enabled: true,
      events: ['sandbox.lifecycle.killed'],
      signatureSecret: 'x'.repeat(32),
    })
  ).json as { id: string };
  const signingKey = (await ask('POST', '/signing-keys', { overlapSeconds: 60 })).json as { id: string };
  const secret = (await ask('POST', '/secrets', { name: 'kept', value: 'x' })).json as { secretID: string };
  expect((await ask('POST', '/volumes', { name: 'kept' })).status).toBe(201);
  expect((await ask('POST', '/buckets', { name: 'kept', url: 's3://kept' })).status).toBe(201);
  expect((await ask('PUT', '/volumecontent/kept/file?path=/file', {})).status).toBe(201);
  const template = (await ask('POST', '/v3/templates', { name: 'asked-for' })).json as {
    templateID: string;
    buildID: string;
  };

  const source = 'export default { fetch: async (request, env) => new Response(await env.STORE.put("key", "value")) };';
  const kept = { name: 'kept', source, kv: { STORE: 'kept-values' }, secrets: { TOKEN: 'secret' } };
  expect((await ask('POST', '/functions', kept)).status).toBe(201);
  expect((await ask('POST', '/functions/kept/invoke', {})).status).toBe(200);

  const hash = 'a'.repeat(64);
  const link = (await ask('GET', `/templates/${template.templateID}/files/${hash}`)).json as { url: string };
  const [team] = (await ask('GET', '/teams')).json as { teamID: string }[];
  const usage = (await ask('GET', `/teams/${team?.teamID ?? ''}/usage`)).json as Record<string, { used: number }>;
  expect(usage['disk_bytes']?.used).toBeGreaterThan(2 * mib);
  expect(usage['paused_memory_bytes']?.used).toBeGreaterThan(2 * mib);
  expect(usage['events']?.used).toBeGreaterThan(5);

  await until('the reserve', async () => (await readdir(join(disk, 'data/reserve'))).length === 16);
  await fillDisk();
  await sleep(3000);
  const before = await readLists();

  const refused: [string, string, unknown?][] = [
    ['POST', '/sandboxes', { templateID: 'base' }],
    ['POST', '/v2/sandboxes', { templateID: 'base' }],
    ['POST', `/sandboxes/${running}/pause`],
    ['POST', `/sandboxes/${running}/connect`, { timeout: 60 }],
    ['POST', `/v2/sandboxes/${paused}/connect`, { timeout: 60 }],
    ['POST', `/sandboxes/${paused}/resume`, {}],
    ['POST', `/sandboxes/${running}/timeout`, { timeout: 60 }],
    ['POST', `/sandboxes/${running}/refreshes`, { duration: 60 }],
    ['POST', `/sandboxes/${running}/snapshots`, { name: 'new' }],
    ['POST', `/sandboxes/${running}/fork`, {}],
    ['POST', `/snapshots/${encodeURIComponent(snapshot.snapshotID)}/fork`, {}],
    ['PUT', `/sandboxes/${running}/network`, {}],
    ['POST', '/templates', { dockerfile: 'FROM base' }],
    ['POST', '/v2/templates', { alias: 'new' }],
    ['POST', '/v3/templates', { name: 'new' }],
    ['POST', `/templates/${template.templateID}/builds/${template.buildID}`],
    ['PATCH', `/templates/${template.templateID}`, { public: true }],
    ['POST', '/volumes', { name: 'new' }],
    ['POST', '/volumecontent/kept/dir?path=/new'],
    ['PATCH', '/volumecontent/kept/path?path=/file', { mode: 0o600 }],
    ['POST', '/volumecontent/kept/rename?path=/file&to=/moved'],
    ['PUT', '/volumecontent/kept/file?path=/new', {}],
    ['POST', '/buckets', { name: 'new', url: 's3://new' }],
    ['PATCH', '/buckets/kept', { readOnly: true }],
    ['POST', '/buckets/kept/check'],
    ['POST', '/secrets', { label: 'new', value: 'new' }],
    ['POST', '/secrets/some', { value: 'new' }],
    ['PATCH', '/secrets/some', { hosts: ['api.example.com'] }],
    ['POST', `/v2/templates/${template.templateID}/builds/${template.buildID}`, { fromTemplate: 'base', steps: [] }],
    ['PATCH', `/v2/templates/${template.templateID}`, { public: true }],
    ['POST', '/templates/tags', { target: 'asked-for:x', tags: ['y'] }],
    ['POST', '/signed-urls', { url: `/sandboxes/${running}/logs` }],
    ['POST', '/signing-keys', { overlapSeconds: 60 }],
    ['POST', '/imports', {}],
    ['POST', '/api-keys', { name: 'new' }],
    ['POST', '/ssh-keys', { publicKey: newPublicKey }],
    ['PATCH', `/api-keys/${key.id}`, { name: 'renamed' }],
    ['PUT', `/api-keys/${key.id}/budgets`, { budgets: [] }],
    ['POST', '/events/webhooks', { name: 'n', url, enabled: true, events: [], signatureSecret: 'x'.repeat(32) }],
    ['PATCH', `/events/webhooks/${webhook.id}`, { enabled: false }],
    ['POST', '/functions', { name: 'f', source }],
    ['POST', '/functions/kept/versions', { source }],
    ['POST', '/functions/kept/rollback', {}],
    ['PUT', '/functions/kept/secrets', { a: 'b' }],
    ['DELETE', '/functions/kept/secrets/TOKEN'],
  ];
  for (const [method, path, body] of refused) {
    const answer = await ask(method, path, body);
    expect([method, path, answer.status, (answer.json as { error_code?: string }).error_code]).toEqual([
      method,
      path,
      507,
      'disk_full',
    ]);
  }
  const admin = (await readFile(join(server.dataDirectory, 'control/secrets/admin-token'), 'utf8')).trim();
  const limited = await fetch(`${connection().apiUrl}/teams/${team?.teamID ?? ''}/limits`, {
    method: 'PATCH',
    headers: { 'x-api-key': admin, 'content-type': 'application/json' },
    body: '{"snapshots":5}',
  });
  expect([limited.status, await limited.json()]).toEqual([507, expect.objectContaining({ error_code: 'disk_full' })]);
  const upload = await fetch(link.url, { method: 'PUT', body: Buffer.alloc(1000) });
  expect([upload.status, await upload.json()]).toEqual([507, expect.objectContaining({ error_code: 'disk_full' })]);
  expect(await readLists()).toEqual(before);
  await expectTruth();

  // Running sandboxes continue on their own disks.
  const sandbox = await Sandbox.connect(running, connection()).catch((error: unknown) => error);
  expect(sandbox).toBeInstanceOf(Error);
  const token = (await readFile(join(server.dataDirectory, 'secrets/metrics-token'), 'utf8')).trim();
  const figures = await fetch(`${connection().apiUrl}/metrics`, { headers: { authorization: `Bearer ${token}` } });
  expect(await figures.text()).toContain('soulbox_disk_full 1');

  const removed = [
    `/sandboxes/${doomed}`,
    `/sandboxes/${doomedPaused}`,
    `/snapshots/${encodeURIComponent(snapshot.snapshotID)}`,
    `/api-keys/${key.id}`,
    `/ssh-keys/${sshKey.sshKeyID}`,
    `/events/webhooks/${webhook.id}`,
    `/signing-keys/${signingKey.id}`,
    `/secrets/${secret.secretID}`,
    `/templates/${template.templateID}`,
    '/functions/kept',
    '/kv/kept-values',
    '/volumecontent/kept/path?path=/file',
    '/volumes/kept',
    '/buckets/kept',
  ];
  // The look-up comes before any request for room.
  expect((await ask('DELETE', '/templates/tags', { name: 'asked-for', tags: ['none'] })).status).toBe(404);
  await expectAllTried([
    ...refused,
    ...removed.map((path) => ['DELETE', path] as const),
    ['DELETE', '/templates/tags'],
  ]);
  for (const path of removed) {
    const answer = await ask('DELETE', path);
    expect([path, answer.status, answer.text]).toEqual([path, answer.status === 200 ? 200 : 204, answer.text]);
  }
  expect(await isAlive(doomed)).toBe(false);
  expect((await ask('GET', `/sandboxes/${doomed}`)).status).toBe(404);
  expect((await ask('GET', `/sandboxes/${doomedPaused}`)).status).toBe(404);
  await expectTruth();

  // The server is killed and restarts on the full disk.
  await makeRoom();
  await until('the reserve', async () => (await readdir(join(disk, 'data/reserve'))).length === 16);
  await fillDisk();
  await server.kill9();
  // Sandboxes that are still running are reported.
  const left = new RegExp(`1 sandbox \\(${running}\\) and \\d spares still run, but their server is dead`);
  expect(await cli('status')).toMatchObject({ code: 3, stdout: expect.stringMatching(left) as string });
  expect(await cli('down')).toMatchObject({ code: 1, stderr: expect.stringMatching(left) as string });
  const doctor = await cli('doctor');
  expect(doctor.code).toBe(1);
  expect(doctor.stdout).toMatch(left);
  expect(doctor.stdout).toMatch(/FAIL +Free disk: 0.0 GiB .* everything except kills and deletes/);
  expect(await cli('key', 'create', 'x')).toMatchObject({ code: 1, stderr: expect.stringContaining('disk') as string });
  expect(await cli('key', 'revoke', 'second')).toMatchObject({ code: 0 });
  await server.restart();
  expect(await isAlive(running)).toBe(true);
  expect((await ask('POST', '/api-keys', { name: 'new' })).status).toBe(507);

  await makeRoom();
  await until('room', async () => (await ask('POST', '/api-keys', { name: 'again' })).status === 201);
  await (await Sandbox.connect(paused, connection())).commands.run('true');
  expect((await ask('DELETE', `/sandboxes/${paused}`)).status).toBe(204);
  receiver.close();

  // The sandboxes of a killed server can be ended without a new server, also on a full disk.
  await until('the reserve', async () => (await readdir(join(disk, 'data/reserve'))).length === 16);
  await fillDisk();
  await server.kill9();
  expect(await cli('down', '--end-sandboxes')).toMatchObject({ code: 0, stderr: '' });
  expect(await listHostTraces(instance)).toEqual([]);
  expect((await cli('down')).code).toBe(0);
  await server.restart();
  expect((await ask('GET', `/sandboxes/${running}`)).text).toContain('(killed)');
});
