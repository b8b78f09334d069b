import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdir, open, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { removeTree, run } from '@soulbox/base';
import { readSealedJson, writeSealedJson } from '@soulbox/checkpoints';
import { listHostTraces, makeTestDirectory, nodeProgram } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox } from 'e2b';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { checkPaused, checkSandbox, checkWorld, connectionOf, endWorld, fillSandbox } from '../harness/drill.ts';
import { fillWorld, makeWholeFolder, serve } from '../harness/drill.ts';
import type { Connection, World } from '../harness/drill.ts';
import { askFunction, deployLasting } from '../harness/lasting-function.ts';
import { hasTemplate } from '../harness/template.ts';
import { until } from '../harness/until.ts';

const hasFunctions = await hasTemplate('edge');
const [instance, otherInstance] = [8, 9];
const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
let folder: string;
let backup: string;
/** A backup that was killed while it was being created, before the other backup. */
let half: string;
let server: ServerProcess;
let world: World;
/**
 * Both run during the backup. The first one writes to a volume. The disk of the second has more content than is copied
 * beside it.
 */
let [small, large]: Sandbox[] = [];

/** Counts in memory and in a file of the volume, and complains when the two differ: one is of another moment. */
const count = `n=0; echo 0 > /data/count
while true; do
  found=$(cat /data/count); [ "$found" = "$n" ] || echo "$n is $found" >> /home/user/wrong
  n=$((n + 1)); echo $n > /data/new; sync /data/new; mv /data/new /data/count; sleep 0.02
done`;

async function createVolume({ apiUrl, apiKey }: Connection, name: string): Promise<void> {
  const headers = { 'x-api-key': apiKey, 'content-type': 'application/json' };
  const { status } = await fetch(`${apiUrl}/volumes`, { method: 'POST', headers, body: JSON.stringify({ name }) });
  expect(status).toBe(201);
}

/** The volume has what was flushed before the backup, and goes on from the moment of the memory. */
async function checkVolume(sandbox: Sandbox): Promise<void> {
  const run = async (command: string): Promise<string> => (await sandbox.commands.run(command)).stdout.trim();
  expect(await run('cd /data && sha256sum -c sum')).toBe('large: OK');
  const before = Number(await run('cat /data/count'));
  expect(before).toBeGreaterThan(0);
  await until('it counts on', async () => Number(await run('cat /data/count')) > before + 2);
  expect(await run('cat /home/user/wrong 2>/dev/null || true')).toBe('');
}

/** Gigabytes are flushed to a disk that others may use. */
const commandMs = 150_000;

const soulbox = async (...args: string[]): Promise<Output> => await runNode([cliMain, ...args], {}, '', commandMs);
const restore = async (target: string, source = backup): Promise<Output> =>
  await soulbox('backup', 'restore', source, '--data-dir', target, '--json');

beforeAll(async () => {
  folder = await makeTestDirectory('backup-');
  backup = join(folder, 'backup');
  server = await serve(await makeWholeFolder(hasFunctions ? ['base', 'edge'] : ['base']), instance);
  const connection = { ...connectionOf(server), timeoutMs: 600_000 };
  world = await fillWorld(connection);
  await createVolume(connection, 'numbers');
  small = await Sandbox.create('base', { ...connection, volumeMounts: { '/data': 'numbers' } });
  large = await Sandbox.create('base', connection);
  for (const sandbox of [small, large]) await fillSandbox(sandbox);
  await small.commands.run('head -c 6M /dev/urandom > /data/large; cd /data; sha256sum large > sum; sync large sum');
  await small.files.write('/home/user/count.sh', count);
  await small.commands.run('bash /home/user/count.sh', { background: true, timeoutMs: 0 });
  await large.commands.run('head -c 100M /dev/urandom > /home/user/large; sha256sum /home/user/large > /home/user/sum');
  if (hasFunctions) await deployLasting(server);
  const create = (at: string): string[] => ['backup', 'create', at, '--data-dir', server.dataDirectory, '--json'];
  half = join(folder, 'half');
  await killWhile(create(half), async () => (await names(half)).length > 2);
  const made = await soulbox(...create(backup));
  expect(made.code, made.stderr).toBe(0);
}, 300_000);
afterAll(async () => {
  for (const sandbox of [small, large]) await sandbox?.kill();
  if (hasFunctions) await askFunction(server, 'DELETE', '/functions/lasting');
  await endWorld(server, world);
  expect(await listHostTraces(instance)).toEqual([]);
  await removeTree(folder);
});

/** A copy of the backup with hard links. Replace a file in it before you change it. */
async function copyOfBackup(): Promise<string> {
  const copy = join(folder, `copy-${Math.random().toString(36).slice(2)}`);
  await run('cp', ['-al', backup, copy]);
  return copy;
}

/** Starts the command and kills it as soon as `hasBegun` returns true. */
async function killWhile(args: readonly string[], hasBegun: () => Promise<boolean>): Promise<void> {
  const child: ChildProcess = spawn(nodeProgram, [cliMain, ...args], { stdio: 'ignore' });
  const ended = once(child, 'exit');
  await until('it has begun', hasBegun, commandMs);
  child.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
}

const names = async (directory: string): Promise<string[]> => await readdir(directory).catch(() => []);

test('a backup does not disturb running sandboxes and leaves no temporary files', async () => {
  const stage = join(server.dataDirectory, 'backup-stage');
  expect(await names(stage)).toEqual([]);
  expect((await stat(backup)).mode & 0o777).toBe(0o700);
  for (const sandbox of [small, large]) await checkSandbox(sandbox as Sandbox, (sandbox as Sandbox).sandboxId);
  await checkVolume(small as Sandbox);
  expect(await names(join(server.dataDirectory, 'volumes'))).not.toContain('.backup');
});

test('a server on the restored folder has everything, including content and memory', { timeout: 180_000 }, async () => {
  const target = join(folder, 'restored');
  const restored = await restore(target);
  expect(restored.code, restored.stderr).toBe(0);
  expect(JSON.parse(restored.stdout)).toMatchObject({ leftOut: [], warnings: [], volumeCount: 1 });
  const other = await serve(target, otherInstance);
  try {
    const connection = connectionOf(other);
    // The same keys, users and secrets.
    expect(connection.apiKey).toBe(connectionOf(server).apiKey);
    for (const { sandboxId } of [small, large] as Sandbox[]) {
      expect((await Sandbox.getInfo(sandboxId, connection)).state).toBe('paused');
      await checkPaused(sandboxId, connection);
    }
    await checkVolume(await Sandbox.connect((small as Sandbox).sandboxId, connection));
    const there = await Sandbox.connect((large as Sandbox).sandboxId, connection);
    expect((await there.commands.run('sha256sum -c /home/user/sum')).exitCode).toBe(0);
    await checkWorld(world, connection);
    if (hasFunctions)
      expect(await askFunction(other, 'GET', '/functions-http/lasting/')).toMatchObject({ text: 'kept secret' });
  } finally {
    for (const sandbox of [small, large] as Sandbox[]) await Sandbox.kill(sandbox.sandboxId, connectionOf(other));
    await endWorld(other, world);
  }
  expect(await listHostTraces(otherInstance)).toEqual([]);
});

test('one flipped byte is reported with its part, and nothing is left behind', { timeout: 120_000 }, async () => {
  const copy = await copyOfBackup();
  const part = (await names(copy)).find((name) => name.startsWith('layers-')) ?? '';
  await rm(join(copy, part));
  await copyFile(join(backup, part), join(copy, part));
  const file = await open(join(copy, part), 'r+');
  const { size } = await file.stat();
  const { buffer } = await file.read(Buffer.alloc(1), 0, 1, Math.floor(size / 2));
  await file.write(Buffer.from([(buffer[0] ?? 0) ^ 1]), 0, 1, Math.floor(size / 2));
  await file.close();
  const target = join(folder, 'damaged');
  const { code, stderr } = await restore(target, copy);
  expect(code).toBe(1);
  expect(stderr).toContain('backup_unusable');
  expect(stderr).toContain(`layers/${part.slice('layers-'.length, -'.tar.zst'.length)}`);
  expect(await names(target)).toEqual([]);
});

test('an incomplete backup is refused, and it did not prevent the next one', async () => {
  const refused = await restore(join(folder, 'of-half'), half);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/backup_unusable.*never completed/s);
  const again = await soulbox('backup', 'create', half, '--data-dir', server.dataDirectory);
  expect(again.stderr).toMatch(/is not empty/);
});

test('no server starts on an incomplete restore', { timeout: 120_000 }, async () => {
  const target = join(folder, 'half-restored');
  await killWhile(['backup', 'restore', backup, '--data-dir', target], async () => (await names(target)).length > 2);
  const place = ['--port', '0', '--tls-port', '0', '--instance', String(otherInstance)];
  const started = await soulbox('up', ...place, '--data-dir', target);
  expect(started.code).toBe(1);
  expect(started.stderr).toMatch(/did not finish.*backup_unusable/s);
  expect((await restore(target)).stderr).toMatch(/did not finish/);
});

test('a restore refuses a folder that is not empty, and a backup of a newer version', async () => {
  const taken = await restore(server.dataDirectory);
  expect(taken.code).toBe(1);
  expect(taken.stderr).toMatch(/is not empty/);
  const copy = await copyOfBackup();
  const manifest = (await readSealedJson(join(copy, 'backup.json'))) as object;
  await writeSealedJson(join(copy, 'backup.json'), { ...manifest, format: 1000 });
  expect((await restore(join(folder, 'newer'), copy)).stderr).toMatch(/newer SoulBox/);
});

test(
  'a restore on another CPU warns that memory cannot be resumed there',
  { tags: ['long'], timeout: 120_000 },
  async () => {
    const copy = await copyOfBackup();
    const manifest = (await readSealedJson(join(copy, 'backup.json'))) as object;
    await writeSealedJson(join(copy, 'backup.json'), { ...manifest, cpuType: 'another' });
    const { code, stdout } = await restore(join(folder, 'other-cpu'), copy);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      warnings: [expect.stringMatching(/CPU of this host has different features/)],
    });
  },
);

test('a full disk ends backup and restore, and leaves nothing', async () => {
  const tiny = join(folder, 'tiny');
  await mkdir(tiny);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=20m', 'soulbox-test', tiny]);
  onTestFinished(async () => {
    await run('umount', ['--', tiny]);
  });
  for (const attempt of [
    await soulbox('backup', 'create', tiny, '--data-dir', server.dataDirectory),
    await restore(tiny),
  ]) {
    expect(attempt.code).toBe(1);
    expect(attempt.stderr).toContain('disk_full');
    expect(await names(tiny)).toEqual([]);
  }
});

test('a backup requires the token of the operator', async () => {
  const { E2B_API_URL: url = '', E2B_API_KEY: key = '' } = server.clientEnvironment;
  const ask = async (token: string) =>
    await fetch(`${url}/host/backup-stage`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
  expect((await ask(key)).status).toBe(401);
});
