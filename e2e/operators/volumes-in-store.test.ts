/** @module-tag violation */
import { createHash, randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { removeTree } from '@soulbox/base';
import { listHostTraces, makeTestDirectory, startServer, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, Volume } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { connectionOf } from '../harness/drill.ts';
import { needs } from '../harness/needs.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { programEveryMs, until } from '../harness/until.ts';

needs('volumes');

const instance = ownInstance();
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const mib = 1024 * 1024;
let folder: string;
let url: string;
let keyFile: string;
let server: ServerProcess | undefined;

const soulbox = async (...args: string[]): Promise<Output> => await runNode([cliMain, ...args], {}, '', 240_000);

async function start(dataDirectory: string, environment: Record<string, string> = {}): Promise<ServerProcess> {
  server = await startServer({
    ...{ instance, dataDirectory, poolSize: 1 },
    environment: {
      SOULBOX_ISOLATION: 'container',
      SOULBOX_TEMPLATES_DIR: testTemplatesDirectory,
      SOULBOX_STORAGE: url,
      SOULBOX_STORAGE_KEY_FILE: keyFile,
      ...environment,
    },
  });
  return server;
}

interface Status {
  readonly volumes: { readonly state: string; readonly behind: readonly { readonly id: string }[] };
}
const status = async ({ dataDirectory }: ServerProcess): Promise<Output> =>
  await soulbox('storage', 'status', '--data-dir', dataDirectory, '--json');
const untilUploaded = async (at: ServerProcess): Promise<void> => {
  await until('everything is uploaded', async () => (await status(at)).code === 0, 180_000, programEveryMs);
};
const digestOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const run = async ({ commands }: Sandbox, command: string): Promise<string> =>
  (await commands.run(command, { timeoutMs: 240_000 })).stdout.trim();

/** The client finds the contents of volumes by a variable. */
function use(at: ServerProcess): ReturnType<typeof connectionOf> & { timeoutMs: number } {
  process.env['E2B_VOLUME_API_URL'] = at.clientEnvironment['E2B_VOLUME_API_URL'];
  return { ...connectionOf(at), timeoutMs: 600_000 };
}

async function blocksOf(at: ServerProcess): Promise<number> {
  const found = await readdir(join(at.dataDirectory, 'volumes'), { recursive: true, withFileTypes: true });
  return found.filter((entry) => entry.isFile() && /^[0-9a-f]{32}$/.test(entry.name)).length;
}

beforeAll(async () => {
  folder = await makeTestDirectory('volumes-in-store-');
  [url, keyFile] = [`file://${folder}/store`, join(folder, 'storage.key')];
  await writeFile(keyFile, (await soulbox('storage', 'key')).stdout, { mode: 0o600 });
  await start(await makeTestDirectory('volumes-in-store-data-'));
}, 120_000);
afterAll(async () => {
  await server?.stop();
  await removeTree(folder);
  expect(await listHostTraces(instance)).toEqual([]);
}, 60_000);

test('what a sandbox has written to a volume is read on a new host after the disk was lost', async () => {
  if (server === undefined) throw new Error('there is no server');
  const lost = server;
  const connection = use(lost);
  const volume = await Volume.create('data', connection);
  const byApi = randomBytes(3 * mib);
  await volume.writeFile('/by-api', new Uint8Array(byApi).buffer);
  const sandbox = await Sandbox.create('base', { ...connection, volumeMounts: { '/data': volume } });
  await run(sandbox, 'head -c 30000000 /dev/urandom > /data/large; mkdir /data/many');
  await run(sandbox, 'for i in $(seq 500); do echo "file $i" > /data/many/$i; done; ln /data/large /data/linked; sync');
  const digest = await run(sandbox, 'sha256sum < /data/large');
  await untilUploadedOrRunning(lost);
  // The control plane uploads its records some seconds after they have changed.
  await sleep(8000);
  await lost.kill9();
  const names = await readdir(join(folder, 'store'), { recursive: true, withFileTypes: true });
  for (const { parentPath, name } of names.filter((entry) => entry.isFile()))
    expect((await readFile(join(parentPath, name))).includes('SQLite format'), name).toBe(false);

  // The sandbox is still there: a server of the lost folder ends it, and its place in the store was not taken.
  await lost.restart();
  await Sandbox.kill(sandbox.sandboxId, connectionOf(lost));
  await lost.stop();
  await removeTree(lost.dataDirectory);
  const target = join(folder, 'recovered');
  const place = ['--storage', url, '--key-file', keyFile, '--data-dir', target];
  const output = await soulbox('storage', 'recover', ...place, '--json');
  const said = JSON.parse(output.stdout) as { volumes: { id: string }[]; lost: unknown[] };
  expect(
    said.volumes.map(({ id }) => id),
    output.stderr,
  ).toEqual([volume.volumeId]);

  const next = await start(target);
  expect(await blocksOf(next)).toBe(0);
  const again = use(next);
  const found = await Volume.connect(volume.volumeId, again);
  expect(digestOf(await found.readFile('/by-api', { format: 'bytes' }))).toBe(digestOf(byApi));
  const reader = await Sandbox.create('base', { ...again, volumeMounts: { '/data': found } });
  expect(await run(reader, 'sha256sum < /data/large')).toBe(digest);
  expect(await run(reader, 'cat /data/many/500; ls /data/many | wc -l; stat -c %h /data/large')).toBe(
    'file 500\n500\n2',
  );
  await run(reader, 'echo more >> /data/large; sync');
  await reader.kill();
  await untilUploaded(next);
}, 300_000);

test(
  'with a limit for the disk, contents leave it and are read from the store',
  { tags: ['long'], timeout: 300_000 },
  async () => {
    if (server === undefined) throw new Error('there is no server');
    const { dataDirectory } = server;
    await server.stop();
    const limited = await start(dataDirectory, { SOULBOX_VOLUME_LOCAL_MB: '8' });
    const connection = use(limited);
    const volume = await Volume.create('limited', connection);
    const bytes = randomBytes(40 * mib);
    await volume.writeFile('/large', new Uint8Array(bytes).buffer);
    await untilUploaded(limited);
    await until('blocks leave the disk', async () => (await blocksOf(limited)) <= 3, 60_000);
    expect(digestOf(await volume.readFile('/large', { format: 'bytes' }))).toBe(digestOf(bytes));
    const sandbox = await Sandbox.create('base', { ...connection, volumeMounts: { '/data': volume } });
    expect(await run(sandbox, 'sha256sum < /data/large')).toContain(digestOf(bytes));
    await sandbox.kill();
  },
);

test('a volume that is destroyed leaves the store', async () => {
  if (server === undefined) throw new Error('there is no server');
  const connection = use(server);
  const volume = await Volume.create('short', connection);
  await volume.writeFile('/a', 'x'.repeat(100_000));
  await untilUploaded(server);
  const mentioned = async (): Promise<boolean> =>
    (await readdir(join(folder, 'store'), { recursive: true })).some((name) => name.includes(volume.volumeId));
  expect(await mentioned()).toBe(true);
  await Volume.destroy(volume.volumeId, connection);
  await until('it is gone', async () => !(await mentioned()), 60_000);
}, 120_000);

/** A running sandbox is not uploaded, so only the volumes count. */
async function untilUploadedOrRunning(at: ServerProcess): Promise<void> {
  await until(
    'all volumes are uploaded',
    async () => {
      const { stdout } = await status(at);
      if (stdout === '') return false;
      const { volumes } = JSON.parse(stdout) as Status;
      return volumes.state === 'idle' && volumes.behind.length === 0;
    },
    180_000,
  );
}
