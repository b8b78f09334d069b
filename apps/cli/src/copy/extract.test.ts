/** @module-tag violation */
import { execFileSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { lstat, mkdir, mkdtemp, readdir, readFile, readlink, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { removeTree } from '@soulbox/base';
import { extract } from './extract.ts';
import { readTar } from './tar-reader.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-extract-'));
  await mkdir(join(folder, 'outside'));
  await writeFile(join(folder, 'outside/kept'), 'kept');
});
afterEach(async () => {
  expect(await readFile(join(folder, 'outside/kept'), 'utf8')).toBe('kept');
  expect(await readdir(join(folder, 'outside'))).toEqual(['kept']);
  await removeTree(folder);
});

interface Draft {
  readonly name: string | Buffer;
  readonly type?: string;
  readonly link?: string;
  readonly body?: string | Buffer;
  readonly mode?: number;
  /** Of the header, if it lies. */
  readonly size?: number;
}

/** One entry, as a hostile sandbox may write it. */
function entry({ name, type = '0', link = '', body = '', mode = 0o644, size }: Draft): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(512);
  Buffer.from(name).copy(header, 0, 0, 100);
  header.write(`${mode.toString(8).padStart(7, '0')}\0`, 100);
  header.write(`${(size ?? bytes.length).toString(8).padStart(11, '0')}\0`, 124);
  header.write('00000000010\0', 136);
  header.write(' '.repeat(8), 148);
  header.write(type, 156);
  header.write(link, 157);
  header.write('ustar\0' + '00', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** A pax header: records by name. */
function pax(records: Readonly<Record<string, string | Buffer>>): Buffer {
  const lines = Object.entries(records).map(([key, value]) => {
    const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from('\n')]);
    const guess = rest.length + String(rest.length).length;
    const length = rest.length + String(guess).length;
    return Buffer.concat([Buffer.from(String(length)), rest]);
  });
  return entry({ name: 'pax', type: 'x', body: Buffer.concat(lines) });
}

const root = entry({ name: './', type: '5', mode: 0o755 });
const end = Buffer.alloc(1024);

async function unpack(...parts: readonly Buffer[]): Promise<void> {
  const archive = Buffer.concat(parts);
  async function* pieces(): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < archive.length; at += 700) yield await Promise.resolve(archive.subarray(at, at + 700));
  }
  await extract(readTar(pieces()), { path: join(folder, 'target'), isThere: false });
}

test.each([
  ['..', '../outside/new'],
  ['.. further down', './a/../../outside/new'],
  ['an absolute name', '/tmp/soulbox-new'],
  ['an empty part', './a//b'],
  ['a dot', './a/./b'],
  ['no name', ''],
])('a name with %s is refused, and nothing is written', async (_, name) => {
  await expect(unpack(root, entry({ name, body: 'x' }), end)).rejects.toMatchObject({ reason: 'bad_path' });
  expect(await readdir(join(folder, 'target'))).toEqual([]);
});

test('names in pax headers are checked like others', async () => {
  const hostile = [pax({ path: '../outside/new' }), entry({ name: 'x', body: 'x' })];
  await expect(unpack(root, ...hostile, end)).rejects.toMatchObject({ reason: 'bad_path' });
  const nul = [pax({ path: './a\0b' }), entry({ name: 'x' })];
  await expect(unpack(root, ...nul, end)).rejects.toMatchObject({ reason: 'bad_path' });
  const sparse = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '4' };
  const map = Buffer.concat([Buffer.from('1\n0\n4\n'.padEnd(512, '\0')), Buffer.from('data')]);
  const holes = [pax({ ...sparse, 'GNU.sparse.name': '/etc/soulbox-new' }), entry({ name: 'x', body: map })];
  await expect(unpack(root, ...holes, end)).rejects.toMatchObject({ reason: 'bad_path' });
});

test('no link that the archive has made is followed, neither to a folder nor to a file', async () => {
  const outside = join(folder, 'outside');
  const link = entry({ name: './link', type: '2', link: outside });
  await expect(unpack(root, link, entry({ name: './link/new', body: 'x' }), end)).rejects.toMatchObject({
    reason: 'not_a_directory',
  });
  await expect(unpack(root, link, entry({ name: './link', type: '5' }), end)).rejects.toMatchObject({
    reason: 'not_a_directory',
  });
  // A file takes the place of a link.
  const toFile = entry({ name: './link', type: '2', link: join(outside, 'kept') });
  await unpack(root, toFile, entry({ name: './link', body: 'mine' }), end);
  expect((await lstat(join(folder, 'target/link'))).isFile()).toBe(true);
});

test('a link that was in the destination before is not followed', async () => {
  await mkdir(join(folder, 'target'));
  await symlink(join(folder, 'outside'), join(folder, 'target/sub'));
  const below = entry({ name: './sub/new', body: 'x' });
  await expect(unpack(root, below, end)).rejects.toMatchObject({ reason: 'not_a_directory' });
  await symlink(join(folder, 'outside'), join(folder, 'linked'));
  await expect(
    extract(readTar(only(root, end)), { path: join(folder, 'linked'), isThere: false }),
  ).rejects.toMatchObject({ reason: 'not_a_directory' });
});

test.each([
  ['outside of the destination', '../outside/kept', 'bad_path'],
  ['an absolute name', '/etc/passwd', 'bad_path'],
  ['below a link', './link/kept', 'not_a_directory'],
  ['what is not there', './nothing', 'file_not_found'],
])('a hard link to %s is refused', async (_, link, reason) => {
  const through = entry({ name: './link', type: '2', link: join(folder, 'outside') });
  const hard = entry({ name: './hard', type: '1', link });
  await expect(unpack(root, through, hard, end)).rejects.toMatchObject({ reason });
  expect(await readdir(join(folder, 'target'))).toEqual(['link']);
});

test('hard links within the archive stay links of one file', async () => {
  const hard = entry({ name: './b/second', type: '1', link: './a/first' });
  await unpack(root, entry({ name: './a/first', body: 'one' }), hard, end);
  expect((await stat(join(folder, 'target/b/second'))).nlink).toBe(2);
  expect(await readdir(join(folder, 'target/b'))).toEqual(['second']);
});

test('a time before 1970 becomes 1970', async () => {
  const past = pax({ mtime: '-86400.5' });
  await unpack(root, past, entry({ name: './file' }), past, entry({ name: './link', type: '2', link: 'file' }), end);
  for (const name of ['file', 'link']) expect((await lstat(join(folder, 'target', name))).mtimeMs).toBe(0);
});

test('devices, pipes and set-user-id do not come out of a sandbox', async () => {
  const special = ['3', '4', '6'].map((type) => entry({ name: `./special${type}`, type }));
  await unpack(root, ...special, entry({ name: './tool', body: '#!', mode: 0o6755 }), end);
  expect(await readdir(join(folder, 'target'))).toEqual(['tool']);
  expect((await stat(join(folder, 'target/tool'))).mode & 0o7777).toBe(0o755);
});

test('a single file is one file', async () => {
  const file = entry({ name: './x', body: 'one' });
  await unpack(file, end);
  expect(await readFile(join(folder, 'target'), 'utf8')).toBe('one');
  await expect(unpack(file, file, end)).rejects.toMatchObject({ reason: 'bad_request' });
  const hard = entry({ name: './x', type: '1', link: './outside/kept' });
  await expect(unpack(hard, end)).rejects.toMatchObject({ reason: 'bad_request' });
});

test('a cut archive leaves no half file', async () => {
  const whole = Buffer.concat([
    root,
    entry({ name: './whole', body: 'whole' }),
    entry({ name: './cut', body: 'x'.repeat(5000) }),
  ]);
  await expect(unpack(whole.subarray(0, whole.length - 2000))).rejects.toMatchObject({ reason: 'sandbox_unreachable' });
  expect(await readdir(join(folder, 'target'))).toEqual(['whole']);
  // Without its end, an archive is cut off too.
  await expect(unpack(root)).rejects.toMatchObject({ reason: 'sandbox_unreachable' });
});

test.each([
  ['a wrong checksum', Buffer.concat([root, Buffer.alloc(512, 'x')])],
  ['an unknown type', Buffer.concat([root, entry({ name: './x', type: 'S' })])],
  ['a huge long name', Buffer.concat([root, entry({ name: './x', type: 'L', size: 8 * 1024 ** 3 - 1 })])],
  ['a folder with contents', Buffer.concat([root, entry({ name: './x', type: '5', body: 'x' })])],
  ['a pax header that lies', Buffer.concat([root, entry({ name: 'x', type: 'x', body: '99 path=a\n' })])],
  ['a pax header without value', Buffer.concat([root, entry({ name: 'x', type: 'x', body: '6 abc\n' })])],
  ['a negative size', Buffer.concat([root, pax({ size: '-1' }), entry({ name: './x' })])],
  ['something after its end', Buffer.concat([root, end, Buffer.alloc(1024 * 1024)])],
])('an archive with %s is refused', async (_, archive) => {
  await expect(unpack(archive)).rejects.toMatchObject({ reason: 'bad_request' });
});

test.each([
  ['overlaps', '2\n0\n4\n2\n4\n', 8],
  ['goes beyond the end', '1\n9\n4\n', 4],
  ['is longer than what follows', '1\n0\n8\n', 4],
  ['has too many parts', '9999999\n', 4],
  ['has no numbers', 'x\n', 4],
  ['does not end', '1'.repeat(100), 4],
])('a sparse file whose map %s is refused', async (_, map, size) => {
  const records = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '10' };
  const body = Buffer.concat([Buffer.from(map.padEnd(512, '\0')), Buffer.alloc(size)]);
  await expect(unpack(root, pax(records), entry({ name: './x', body }), end)).rejects.toMatchObject({
    reason: 'bad_request',
  });
  expect(await readdir(join(folder, 'target'))).toEqual([]);
});

test('what GNU tar writes arrives as it was: names of any bytes, holes, links, modes and times', async () => {
  const source = join(folder, 'source');
  await mkdir(join(source, 'sub'), { recursive: true });
  const names = [Buffer.from('bad\xff\n', 'latin1'), Buffer.from('ä'), Buffer.from('x'.repeat(250))];
  for (const name of names) await writeFile(Buffer.concat([Buffer.from(`${source}/`), name]), name);
  await symlink('/nowhere/at/all', join(source, 'link'));
  execFileSync('truncate', ['--size', '20M', join(source, 'sub/holes')]);
  execFileSync('dd', [`of=${join(source, 'sub/holes')}`, 'conv=notrunc', 'bs=1M', 'seek=9', 'status=none'], {
    input: 'data',
  });
  execFileSync('touch', ['--date=2001-02-03 04:05:06.789', join(source, 'sub/holes'), join(source, 'sub')]);
  execFileSync('chmod', ['750', join(source, 'sub')]);
  for (const format of ['posix', 'gnu']) {
    const archive = join(folder, `${format}.tar`);
    const sparse = format === 'posix' ? ['--sparse'] : [];
    execFileSync('tar', ['-cf', archive, `--format=${format}`, ...sparse, '-C', source, '.']);
    const path = join(folder, format);
    await extract(readTar(createReadStream(archive)), { path, isThere: false });
    execFileSync('diff', ['--recursive', '--no-dereference', source, path]);
    expect(await readlink(join(path, 'link'))).toBe('/nowhere/at/all');
    const holes = await stat(join(path, 'sub/holes'));
    expect(Math.floor(holes.mtimeMs)).toBe(Date.parse('2001-02-03T04:05:06Z') + (format === 'posix' ? 789 : 0));
    if (format === 'posix') expect(holes.blocks * 512).toBeLessThan(1024 * 1024);
    expect((await stat(join(path, 'sub'))).mode & 0o777).toBe(0o750);
    expect((await stat(join(path, 'sub'))).mtime.getFullYear()).toBe(2001);
  }
});

test('random changes of an archive never write outside, and end', async () => {
  const archive = Buffer.concat([
    root,
    entry({ name: './a/b', body: 'text' }),
    pax({ path: './c' }),
    entry({ name: 'x' }),
    end,
  ]);
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { maxLength: 4 }), async (changes) => {
      const changed = Buffer.from(archive);
      for (const [at, byte] of changes) changed[at] = byte;
      await unpack(changed).catch((error: unknown) => {
        expect(error).toHaveProperty('reason', expect.stringMatching(/bad_|unreachable|not_a_dir|exists|not_found/));
      });
    }),
    { numRuns: 60 },
  );
});

async function* only(...parts: readonly Buffer[]): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(Buffer.concat(parts));
}
