import { createHash } from 'node:crypto';
import { lstat, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CommandError, run } from '@soulbox/base';
import { readRootfsFile } from '../rootfs/files.ts';
import { openImportBench, quiet, small } from '../testing/import-bench.ts';
import type { ImportBench } from '../testing/import-bench.ts';
import { makeTar } from '../testing/tar.ts';
import type { TarEntry } from '../testing/tar.ts';
import { importTemplate } from './import-template.ts';

let bench: ImportBench;

beforeAll(async () => {
  bench = await openImportBench();
});

afterAll(async () => {
  await bench[Symbol.asyncDispose]();
});

async function importTar(
  name: string,
  entries: readonly TarEntry[],
  options = small,
): ReturnType<typeof importTemplate> {
  const file = join(bench.directory, `${name}.tar`);
  await writeFile(file, makeTar(entries));
  return await importTemplate(bench.store, name, `tar:${file}`, options);
}

test('a tar file made by GNU tar from a root file system becomes a template, compressed or not', async () => {
  for (const [flag, extension] of [
    ['-cf', 'tar'],
    ['-czf', 'tar.gz'],
    ['-cJf', 'tar.xz'],
  ] as const) {
    const file = join(bench.directory, `rootfs.${extension}`);
    await run('tar', [flag, file, '-C', bench.rootfs, '.']);
    const name = extension.replace('.', '-');
    const template = await importTemplate(bench.store, name, `tar:${file}`, quiet);
    expect(template).toMatchObject({ defaultUser: 'user', defaultWorkdir: '/home/user', environment: {} });
    expect(await readFile(join(template.rootfs, 'bin/busybox'))).toHaveLength(
      (await stat(join(bench.rootfs, 'bin/busybox'))).size,
    );
  }
  await bench.expectNothingLeft();
});

test('a tar file that is empty becomes a template with accounts and mount points', async () => {
  const template = await importTar('empty', []);
  expect(await readRootfsFile(template.rootfs, '/etc/passwd')).toBe(
    'root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000::/home/user:/bin/sh\n',
  );
  expect((await stat(join(template.rootfs, '.soulbox'))).isDirectory()).toBe(true);
});

test('a tar file keeps owners, setuid bits and links', async () => {
  const template = await importTar('modes', [
    { name: 'a', type: '0', content: 'a', mode: 0o4755, uid: 1234 },
    { name: 'hard', type: '1', linkName: 'a' },
    { name: 'absolute', type: '2', linkName: '/a' },
    { name: 'fifo', type: '6' },
  ]);
  const found = await stat(join(template.rootfs, 'hard'));
  expect(found).toMatchObject({ uid: 1234, gid: 1234, nlink: 2 });
  expect(found.mode & 0o7777).toBe(0o4755);
  expect((await lstat(join(template.rootfs, 'absolute'))).isSymbolicLink()).toBe(true);
});

test('a tar file loses its device nodes', async () => {
  const template = await importTar('devices', [
    { name: 'disk', type: '4', device: [254, 0], mode: 0o666 },
    { name: 'mem', type: '3', device: [1, 1], mode: 0o666 },
    { name: 'kept', type: '0', content: 'x' },
  ]);
  expect(await readdir(template.rootfs)).toEqual(expect.not.arrayContaining(['disk', 'mem']));
  expect(await readFile(join(template.rootfs, 'kept'), 'utf8')).toBe('x');
});

test('a tar file whose root folder is closed or not owned by root gets an open one owned by root', async () => {
  const template = await importTar('closed', [{ name: './', type: '5', mode: 0o700, uid: 4711 }]);
  const found = await stat(template.rootfs);
  expect(found).toMatchObject({ uid: 0, gid: 0 });
  expect(found.mode & 0o7777).toBe(0o755);
});

describe('a tar file that tries to leave its folder', () => {
  // A file of the host that every attack below targets.
  let target: string;
  const fingerprint = async (): Promise<string> => {
    const { mode, uid, nlink } = await stat(target);
    const digest = createHash('sha256')
      .update(await readFile(target))
      .digest('hex');
    return `${mode} ${uid} ${nlink} ${digest} ${(await readdir(join(target, '..'))).join()}`;
  };
  let before: string;
  beforeAll(async () => {
    await mkdir(join(bench.directory, 'outside'), { mode: 0o755 });
    target = join(bench.directory, 'outside/secret');
    await writeFile(target, 'root only', { mode: 0o600 });
    before = await fingerprint();
  });

  const up = '../'.repeat(20).slice(0, -1);
  const attacks: readonly (readonly [string, (target: string) => TarEntry[]])[] = [
    ['by a name with ..', (path) => [{ name: `${up}${path}`, type: '0', content: 'evil' }]],
    ['by an absolute name', (path) => [{ name: path, type: '0', content: 'evil' }]],
    [
      'by a symbolic link to a folder outside and a file through it',
      (path) => [
        { name: 'out', type: '2', linkName: join(path, '..') },
        { name: 'out/secret', type: '0', content: 'evil' },
        { name: 'out/new', type: '0', content: 'evil' },
      ],
    ],
    [
      'by a relative symbolic link and a file through it',
      (path) => [
        { name: 'out', type: '2', linkName: `${up}${join(path, '..')}` },
        { name: 'out/secret', type: '0', content: 'evil' },
      ],
    ],
    [
      'by a hard link to a file outside that is then written',
      (path) => [
        { name: 'hard', type: '1', linkName: path },
        { name: 'hard', type: '0', content: 'evil' },
      ],
    ],
    ['by a hard link with .. to a file outside', (path) => [{ name: 'hard', type: '1', linkName: `${up}${path}` }]],
    [
      'by a hard link through a symbolic link',
      (path) => [
        { name: 'out', type: '2', linkName: path },
        { name: 'hard', type: '1', linkName: 'out' },
        { name: 'hard', type: '0', content: 'evil' },
      ],
    ],
    [
      'by a link in the place of the account files',
      (path) => [
        { name: 'etc', type: '2', linkName: join(path, '..') },
        { name: 'home', type: '2', linkName: join(path, '..') },
      ],
    ],
    [
      'by links in the place of each file that is written afterwards',
      (path) => [
        { name: 'etc', type: '5' },
        ...['passwd', 'group', 'shadow', 'hostname', 'hosts', 'resolv.conf'].map((name): TarEntry => ({
          name: `etc/${name}`,
          type: '2',
          linkName: path,
        })),
        { name: 'home', type: '5' },
        { name: 'home/user', type: '2', linkName: join(path, '..') },
      ],
    ],
    ['by a link as the root folder itself', (path) => [{ name: '.', type: '2', linkName: join(path, '..') }]],
  ];
  test.each(attacks)('%s changes nothing outside', async (_, entriesFor) => {
    const attempt = `attack-${attacks.findIndex(([, other]) => other === entriesFor)}`;
    const outcome = await importTar(attempt, entriesFor(target)).then(
      (template) => template,
      (error: unknown) => error,
    );
    expect(await fingerprint()).toBe(before);
    // Refused with a reason, or harmless; never a raw failure of a tool.
    if (outcome instanceof Error) expect(outcome).toMatchObject({ name: 'SoulBoxError' });
    expect(outcome).not.toBeInstanceOf(CommandError);
    await bench.expectNothingLeft();
  });
});

test('a tar file with more files than the limit is refused by the kernel', async () => {
  const entries = Array.from({ length: 5000 }, (_, index): TarEntry => ({ name: `f${index}`, type: '0' }));
  await expect(importTar('many', entries)).rejects.toMatchObject({ reason: 'limit_exceeded' });
  await bench.expectNothingLeft();
});

test('a tar file that is a compression bomb is refused by the kernel', async () => {
  const file = join(bench.directory, 'bomb.tar.gz');
  await run('sh', ['-c', 'sh', file]);
  const zeros = join(bench.directory, 'zeros');
  await run('truncate', ['-s', '300M', zeros]);
  await run('tar', ['-czf', file, '-C', bench.directory, 'zeros']);
  await expect(importTemplate(bench.store, 'bomb', `tar:${file}`, small)).rejects.toMatchObject({
    reason: 'limit_exceeded',
  });
  await bench.expectNothingLeft();
});

test.each([
  ['is cut short', makeTar([{ name: 'a', type: '0', content: 'x'.repeat(5000) }]).subarray(0, 3000)],
  ['is noise', Buffer.from('this is no archive at all'.repeat(100))],
])('that %s is refused', async (_, bytes) => {
  const file = join(bench.directory, 'broken.tar');
  await writeFile(file, bytes);
  await expect(importTemplate(bench.store, 'broken', `tar:${file}`, small)).rejects.toMatchObject({
    reason: 'bad_request',
  });
  await bench.expectNothingLeft();
});

test('a tar file that is missing is refused', async () => {
  await expect(importTemplate(bench.store, 'nowhere', 'tar:/proc/nowhere.tar', small)).rejects.toMatchObject({
    reason: 'file_not_found',
  });
});
