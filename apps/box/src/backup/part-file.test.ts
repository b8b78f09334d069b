import {
  chmod,
  chown,
  link,
  mkdir,
  mkdtemp,
  open,
  readFile,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '@soulbox/base';
import type { BackupPart } from './manifest.ts';
import { readPart, writePart } from './part-file.ts';

const { signal } = new AbortController();
let folder: string;
let from: string;
let to: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-part-'));
  [from, to, file] = [join(folder, 'from'), join(folder, 'to'), join(folder, 'part.tar.zst')];
  await mkdir(join(from, 'tree'), { recursive: true });
  await mkdir(to);
});
afterEach(() => rm(folder, { recursive: true }));

/** Uses setxattr(2) and getxattr(2) because not every host has attr(1), but Debian's base system has perl. */
const [setNumber, getNumber] = process.arch === 'arm64' ? [5, 8] : [188, 191];
const setAttribute = 'my ($n, $p, $k, $v) = @ARGV; exit(syscall($n + 0, $p, $k, $v, length $v, 0) != 0)';
const getAttribute = 'my ($n, $p, $k) = @ARGV; my $b = "-" x 9; print substr($b, 0, syscall($n + 0, $p, $k, $b, 9))';

async function write(): Promise<BackupPart> {
  const written = await writePart({ directory: from, names: ['tree'] }, file, signal);
  return { name: 'layers/l1', into: '.', file: 'part.tar.zst', contentBytes: 0, ...written };
}

test('holes, owners, modes, links and attributes are restored', async () => {
  const tree = (name: string, at = from): string => join(at, 'tree', name);
  await writeFile(tree('image'), 'begin');
  await truncate(tree('image'), 2 ** 31);
  await chmod(tree('image'), 0o400);
  await writeFile(tree('plain'), 'plain');
  await chown(tree('plain'), 1234, 70_000);
  await chmod(tree('plain'), 0o6751);
  await link(tree('plain'), tree('same'));
  await symlink('/etc/passwd', tree('link'));
  await run('perl', ['-e', setAttribute, String(setNumber), tree('plain'), 'trusted.soulbox', 'kept']);
  await readPart(file, await write(), to, signal);
  const image = await stat(tree('image', to));
  expect([image.size, image.mode & 0o7777, image.blocks < 100]).toEqual([2 ** 31, 0o400, true]);
  const plain = await stat(tree('plain', to));
  expect([plain.uid, plain.gid, plain.mode & 0o7777]).toEqual([1234, 70_000, 0o6751]);
  expect((await stat(tree('same', to))).ino).toBe(plain.ino);
  expect(await run('readlink', [tree('link', to)])).toBe('/etc/passwd\n');
  const attribute = await run('perl', ['-e', getAttribute, String(getNumber), tree('plain', to), 'trusted.soulbox']);
  expect(attribute).toBe('kept');
});

test('the end of an archive, which tar does not read, is always verified too', async () => {
  await writeFile(join(from, 'tree/large'), Buffer.alloc(3_000_000, 7));
  const part = await write();
  for (let times = 0; times < 20; times += 1) await readPart(file, part, to, signal);
  expect((await readFile(join(to, 'tree/large'))).length).toBe(3_000_000);
});

test.each([0, 0.5, 0.999])('a flipped byte at %d of the file is reported with the name of the part', async (share) => {
  await writeFile(join(from, 'tree/noise'), Buffer.from(Array.from({ length: 100_000 }, (_, at) => (at * at) % 251)));
  const part = await write();
  const bytes = await readFile(file);
  const at = Math.floor(bytes.length * share);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(file, bytes);
  const read = readPart(file, part, to, signal);
  await expect(read).rejects.toMatchObject({
    reason: 'backup_unusable',
    message: expect.stringContaining('layers/l1') as string,
  });
});

test('a truncated or missing file is reported in the same way', async () => {
  await writeFile(join(from, 'tree/a'), 'a');
  const part = await write();
  const handle = await open(file, 'r+');
  await handle.truncate(part.sizeBytes - 1);
  await handle.close();
  await expect(readPart(file, part, to, signal)).rejects.toMatchObject({ reason: 'backup_unusable' });
  await rm(file);
  await expect(readPart(file, part, to, signal)).rejects.toMatchObject({ reason: 'backup_unusable' });
});

test('a full disk is reported as such, when writing and when unpacking', async () => {
  const small = join(folder, 'small');
  await mkdir(small);
  await writeFile(join(from, 'tree/noise'), await readNoise(4_000_000));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'soulbox-test', small]);
  try {
    const written = writePart({ directory: from, names: ['tree'] }, join(small, 'part'), signal);
    await expect(written).rejects.toMatchObject({ reason: 'disk_full' });
    await rm(join(small, 'part'));
    await expect(readPart(file, await write(), small, signal)).rejects.toMatchObject({ reason: 'disk_full' });
  } finally {
    await run('umount', ['--', small]);
  }
});

test('a missing name, or an abort, ends it', async () => {
  const missing = writePart({ directory: from, names: ['none'] }, file, signal);
  await expect(missing).rejects.toMatchObject({ reason: 'internal' });
  const stop = AbortSignal.abort(new Error('stopped'));
  await expect(writePart({ directory: from, names: ['tree'] }, `${file}2`, stop)).rejects.toThrow();
  expect(await readdir(to)).toEqual([]);
});

async function readNoise(bytes: number): Promise<Buffer> {
  const random = await open('/dev/urandom', 'r');
  try {
    return (await random.read(Buffer.alloc(bytes), 0, bytes, 0)).buffer;
  } finally {
    await random.close();
  }
}
