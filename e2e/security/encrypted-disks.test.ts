/** @module-tag violation */
import { execFile } from 'node:child_process';
import { mkdir, open, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { removeTree, run } from '@soulbox/base';
import { listHostTraces, makeTestDirectory, startServer, testTemplatesDirectory } from '@soulbox/testing';
import type { ServerProcess } from '@soulbox/testing';
import { Sandbox, Volume } from 'e2b';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { runNode } from '../harness/cli.ts';
import type { Output } from '../harness/cli.ts';
import { ownInstance } from '../harness/own-instance.ts';
import { server as shared } from '../harness/server.ts';
import { until } from '../harness/until.ts';

// The whole drill. CI has its parts: encrypt-folders.test.ts of the runner encrypts folders of a real disk, and
// at-rest.test.ts looks for what SoulBox itself encrypts.
const instance = ownInstance();
const mib = 2 ** 20;
const marker = `canary-${Math.random().toString(36).slice(2)}`;
let folder: string;
let image: string;
let disk: string;
let server: ServerProcess | undefined;

beforeAll(async () => {
  folder = await makeTestDirectory('encrypted-');
  [image, disk] = [join(folder, 'image'), join(folder, 'disk')];
  await makeFile(image, 2048);
  await run('mkfs.ext4', ['-q', '-F', '-m', '0', '-O', 'encrypt', image]);
  await mkdir(disk);
  await mountDisk();
  await writeFile(join(folder, 'storage.key'), (await soulbox('storage', 'key')).stdout, { mode: 0o600 });
});
afterAll(async () => {
  await server?.stop();
  expect(await listHostTraces(instance)).toEqual([]);
  await unmountDisk();
  await removeTree(folder);
});

async function makeFile(path: string, sizeMib: number): Promise<void> {
  const file = await open(path, 'wx');
  await file.truncate(sizeMib * mib);
  await file.close();
}

const mountDisk = async (): Promise<string> => await run('mount', ['-t', 'ext4', '-o', 'loop', image, disk]);

/** The kernel releases the loop devices of sandboxes a moment after they have ended. */
async function unmountDisk(): Promise<void> {
  const unmount = async (): Promise<boolean> =>
    await run('umount', ['--', disk]).then(
      () => true,
      () => false,
    );
  await until('the disk to be let go', unmount);
}

/** Which of these texts the raw disk contains anywhere, also in blocks that are free again. One pass. */
async function findOnDisk(texts: readonly string[]): Promise<string[]> {
  const patterns = texts.flatMap((text) => ['--regexp', text]);
  const search = ['--text', '--fixed-strings', '--only-matching', ...patterns, image];
  const { stdout } = await promisify(execFile)('grep', search);
  return [...new Set(stdout.split('\n'))].filter((line) => line !== '');
}

const cliMain = join(import.meta.dirname, '../../apps/cli/src/main.ts');
const soulbox = async (...args: string[]): Promise<Output> =>
  await runNode([cliMain, ...args], { SOULBOX_TEMPLATES_DIR: testTemplatesDirectory }, '', 120_000);

async function start(name = 'data', more: Readonly<Record<string, string>> = {}): Promise<void> {
  const environment = {
    ...more,
    SOULBOX_ISOLATION: shared.isolation,
    SOULBOX_ENCRYPT_DISKS: 'true',
    SOULBOX_STORAGE: `file://${folder}/store`,
    SOULBOX_STORAGE_KEY_FILE: join(folder, 'storage.key'),
  };
  server = await startServer({ instance, dataDirectory: join(disk, name), poolSize: 0, environment });
}

/** The client finds the contents of volumes by a variable. */
async function writeVolume(): Promise<Volume> {
  process.env['E2B_VOLUME_API_URL'] = server?.clientEnvironment['E2B_VOLUME_API_URL'];
  const volume = await Volume.create('kept', connection());
  await volume.writeFile('/small', marker);
  // A block of its own.
  await volume.writeFile('/large', marker.repeat(5000));
  return volume;
}

async function checkVolume(volumeId: string): Promise<void> {
  process.env['E2B_VOLUME_API_URL'] = server?.clientEnvironment['E2B_VOLUME_API_URL'];
  const volume = await Volume.connect(volumeId, connection());
  expect(await volume.readFile('/small')).toBe(marker);
  expect(await volume.readFile('/large')).toBe(marker.repeat(5000));
}

const connection = (): { apiUrl: string; sandboxUrl: string; apiKey: string } => ({
  apiUrl: server?.clientEnvironment['E2B_API_URL'] ?? '',
  sandboxUrl: server?.clientEnvironment['E2B_SANDBOX_URL'] ?? '',
  apiKey: server?.clientEnvironment['E2B_API_KEY'] ?? '',
});

async function ask(method: string, path: string, body?: object): Promise<unknown> {
  const answer = await fetch(connection().apiUrl + path, {
    method,
    headers: { 'x-api-key': connection().apiKey, 'content-type': 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  expect([path, answer.ok]).toEqual([path, true]);
  return await answer.json();
}

async function upload(): Promise<void> {
  const { templateID } = (await ask('POST', '/v3/templates', { name: 'with-files' })) as { templateID: string };
  const { url } = (await ask('GET', `/templates/${templateID}/files/${'a'.repeat(64)}`)) as { url: string };
  expect((await fetch(url, { method: 'PUT', body: marker.repeat(500) })).ok).toBe(true);
}

/** What a disk of a sandbox is without the setting: a file with an ext4 in a readable folder. */
async function writeReadableControl(text: string): Promise<void> {
  const [inner, mountPoint] = [join(disk, 'control.img'), join(folder, 'control')];
  await makeFile(inner, 16);
  await run('mkfs.ext4', ['-q', '-F', inner]);
  await mkdir(mountPoint);
  await run('mount', ['-o', 'loop', inner, mountPoint]);
  await writeFile(join(mountPoint, 'file'), text);
  await run('umount', ['--', mountPoint]);
}

const readMarker = async (sandbox: Sandbox): Promise<string> => await sandbox.files.read('/home/user/file');

test(
  'with encrypted folders the raw disk has nothing of a sandbox, its fork, its snapshot, its volume or an upload, and what was kept is there after a reboot',
  { tags: ['long'], timeout: 300_000 },
  async () => {
    await start();
    const { volumeId } = await writeVolume();
    const mounts = shared.capabilities.volumes ? { volumeMounts: { '/data': 'kept' } } : {};
    const sandbox = await Sandbox.create({ ...connection(), ...mounts });
    await sandbox.files.write('/home/user/file', marker.repeat(500));
    if (shared.capabilities.volumes)
      await sandbox.commands.run('grep --quiet "$(cat /data/small)" /data/large; cp file /data/copy; sync /data/copy');
    await sandbox.commands.run('sync');
    await upload();
    const { snapshotID } = (await ask('POST', `/sandboxes/${sandbox.sandboxId}/snapshots`, { name: 'kept' })) as {
      snapshotID: string;
    };
    const forks = (await ask('POST', `/sandboxes/${sandbox.sandboxId}/fork`, {})) as {
      sandbox: { sandboxID: string };
    }[];
    const fork = await Sandbox.connect(forks[0]?.sandbox.sandboxID ?? '', connection());
    expect(await readMarker(fork)).toContain(marker);
    await fork.commands.run('sync');
    const teams = await readdir(join(disk, 'data/volumes'));

    await server?.stop();
    // The key has left the kernel with the server.
    expect(await readdir(join(disk, 'data/layers'))).not.toContainEqual(expect.stringMatching(/[.]img$/));
    // The upload may have made a folder of its own beside those of the teams since they were listed.
    const locked = await readdir(join(disk, 'data/volumes'));
    expect(locked.length).toBeGreaterThanOrEqual(teams.length);
    expect(locked.filter((name) => teams.includes(name))).toEqual([]);
    expect(await run('lsattr', ['-d', join(disk, 'data/buckets')])).toMatch(/^\S*E/);
    // Nor does a start leave it there that fails when the runner has given it.
    const missing = join(folder, 'missing.pem');
    await expect(start('data', { SOULBOX_TLS_CERT: missing, SOULBOX_TLS_KEY: missing })).rejects.toThrow('missing.pem');
    expect(await readdir(join(disk, 'data/volumes'))).toEqual(locked);
    const control = `control-${marker.slice(7)}`;
    await writeReadableControl(control);
    await unmountDisk();
    expect(await findOnDisk([control, marker])).toEqual([control]);

    await mountDisk();
    await server?.restart();
    const copy = await Sandbox.create(snapshotID, connection());
    expect(await readMarker(copy)).toContain(marker);
    await copy.kill();
    await checkVolume(volumeId);

    // A recovery from an object store also makes encrypted folders, before it writes into them.
    const allIsUploaded = async (): Promise<boolean> => {
      const { code } = await soulbox('storage', 'status', '--data-dir', join(disk, 'data'), '--json');
      return code === 0;
    };
    await until('all is uploaded', allIsUploaded, 120_000);
    await server?.stop();
    const place = ['--storage', `file://${folder}/store`, '--key-file', join(folder, 'storage.key')];
    const target = join(disk, 'recovered');
    const { code, stderr } = await soulbox(
      'storage',
      'recover',
      ...place,
      '--data-dir',
      target,
      '--encrypt-disks',
      '--all',
    );
    expect(stderr).not.toMatch(/^Lost: (?:snapshot|blobs|volume)/m);
    expect(code, stderr).toBeLessThanOrEqual(1);
    expect(await readdir(join(target, 'layers'))).not.toContainEqual(expect.stringMatching(/[.]img$/));
    await unmountDisk();
    expect(await findOnDisk([control, marker])).toEqual([control]);
    await mountDisk();
    await start('recovered');
    expect(await readMarker(await Sandbox.create(snapshotID, connection()))).toContain(marker);
    await checkVolume(volumeId);
  },
);
