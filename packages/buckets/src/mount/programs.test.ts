import {
  closeSync,
  fsyncSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { removeTree } from '@soulbox/base';
import { openObjectStore } from '@soulbox/storage/objects';
import type { ObjectStore } from '@soulbox/storage/objects';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mountBucket } from '../testing/mounted-bucket.ts';
import { errnoOf, runScript } from '../testing/run-script.ts';
import { whyNoMounts } from '../testing/why-no-mounts.ts';

let folder: string;
let url: string;
let store: ObjectStore;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-bucket-'));
  await mkdir(join(folder, 'store'));
  url = `file://${join(folder, 'store')}`;
  store = await openObjectStore(url);
});
afterEach(async () => {
  await store[Symbol.asyncDispose]();
  await removeTree(folder);
});

const contentOf = async (key: string): Promise<string> => {
  const { body } = await store.get(key);
  return await text(body);
};
const keysOf = async (prefix = ''): Promise<string[]> => (await store.list({ prefix })).objects.map(({ key }) => key);
const put = async (key: string, content: string): Promise<unknown> => await store.put(key, Buffer.from(content));
const codeOf = (work: () => unknown): unknown => {
  try {
    work();
    return undefined;
  } catch (error) {
    const { code, errno } = error as NodeJS.ErrnoException;
    // Node.js has no name for it.
    return errno === -116 ? 'ESTALE' : code;
  }
};

describe.skipIf(whyNoMounts !== undefined)(`a mounted bucket${whyNoMounts ? ` (${whyNoMounts})` : ''}`, () => {
  test('has each object as a file, and what programs write as objects', async () => {
    await put('docs/guide.md', 'old');
    await put('top', 'first');
    await using mounted = await mountBucket({ url });
    const output = await runScript(
      mounted.path,
      `cat docs/guide.md; echo new > docs/guide.md; echo more >> top; mkdir -p a/b; cp top a/b/copy; mv a/b/copy a/moved
       printf XX | dd of=a/moved bs=1 seek=1 conv=notrunc status=none; truncate -s 8 a/moved; find . | sort`,
    );
    expect(output).toBe(['old.', './a', './a/b', './a/moved', './docs', './docs/guide.md', './top', ''].join('\n'));
    expect(await keysOf()).toEqual(['a/', 'a/b/', 'a/moved', 'docs/guide.md', 'top']);
    expect([await contentOf('docs/guide.md'), await contentOf('top')]).toEqual(['new\n', 'firstmore\n']);
    expect(await contentOf('a/moved')).toBe('fXXstmor');
    await runScript(mounted.path, 'rm -r a docs; test ! -e docs');
    expect(await keysOf()).toEqual(['top']);
  });

  test('shows only what is below its prefix', async () => {
    await put('in/file', 'in');
    await put('out', 'out');
    await using mounted = await mountBucket({ url, prefix: 'in/' });
    expect(await runScript(mounted.path, 'cat file; echo x > new')).toBe('in');
    expect(await keysOf()).toEqual(['in/file', 'in/new', 'out']);
    expect(readdirSync(mounted.path)).toEqual(['file', 'new']);
  });

  test('answers what buckets do not have with the right errno', async () => {
    await put('file', 'x');
    await put('dir/file', 'x');
    await using mounted = await mountBucket({ url });
    const expected: Record<string, string> = {
      'os.symlink("file", "link")': 'EPERM',
      'os.link("file", "link")': 'EPERM',
      'os.mkfifo("fifo")': 'EPERM',
      'os.setxattr("file", "user.a", b"b")': 'ENOTSUP',
      'os.rename("dir", "other")': 'EXDEV',
      'os.rename("file", "dir")': 'EISDIR',
      'os.rmdir("dir")': 'ENOTEMPTY',
      'os.rmdir("file")': 'ENOTDIR',
      'os.unlink("dir")': 'EISDIR',
      'os.unlink("none")': 'ENOENT',
      'os.mkdir("dir")': 'EEXIST',
      'os.open("file", os.O_CREAT | os.O_EXCL)': 'EEXIST',
      'os.open("none", os.O_RDONLY)': 'ENOENT',
      [String.raw`open(b"a\\b", "w")`]: 'EINVAL',
      [String.raw`open(b"\xff", "w")`]: 'EINVAL',
      [String.raw`open(b"a\nb", "w")`]: 'EINVAL',
      // A store on a local disk has no 255.
      'open("n" * 254, "w")': '0',
      'open("n" * 256, "w")': 'ENAMETOOLONG',
      'os.makedirs("/".join(["d" * 250] * 5))': 'ENAMETOOLONG',
      'os.truncate("file", 1 << 50)': 'EFBIG',
      'os.chmod("file", 0o600)': '0',
      'os.chown("file", 5, 5)': '0',
      'os.utime("file", (1, 1))': '0',
    };
    const found: Record<string, string> = {};
    for (const call of Object.keys(expected)) found[call] = await errnoOf(mounted.path, call);
    expect(found).toEqual(expected);
    expect(await contentOf('file')).toBe('x');
  });

  test('that is read-only changes nothing', async () => {
    await put('file', 'x');
    await using mounted = await mountBucket({ url, isReadOnly: true });
    for (const call of [
      'open("file", "a")',
      'open("new", "w")',
      'os.unlink("file")',
      'os.mkdir("new")',
      'os.rename("file", "new")',
      'os.truncate("file", 0)',
      'os.chmod("file", 0)',
    ])
      expect([call, await errnoOf(mounted.path, call)]).toEqual([call, 'EROFS']);
    expect(readFileSync(join(mounted.path, 'file'), 'utf8')).toBe('x');
    expect(await keysOf()).toEqual(['file']);
  });

  test('lists a folder of several pages once, also while it is emptied', async () => {
    const names = Array.from({ length: 1100 }, (_, index) => `f${String(index).padStart(5, '0')}`);
    for (let at = 0; at < names.length; at += 100)
      await Promise.all(names.slice(at, at + 100).map((name) => put(`many/${name}`, name)));
    await using mounted = await mountBucket({ url });
    expect(readdirSync(join(mounted.path, 'many'))).toEqual(names);
    rmSync(join(mounted.path, 'many'), { recursive: true });
    expect(await keysOf()).toEqual([]);
    expect(readdirSync(mounted.path)).toEqual([]);
  });

  test('keeps a removed file for those who have it open, and its new namesake is another file', async () => {
    await put('file', 'content');
    await using mounted = await mountBucket({ url });
    const path = join(mounted.path, 'file');
    const fd = openSync(path, 'r+');
    rmSync(path);
    expect(await keysOf()).toEqual([]);
    writeSync(fd, 'CON');
    const buffer = Buffer.alloc(20);
    expect(buffer.toString('utf8', 0, readSync(fd, buffer, 0, 20, 0))).toBe('CONtent');
    writeFileSync(path, 'other');
    expect(statSync(path).ino).not.toBe(0);
    closeSync(fd);
    expect(await contentOf('file')).toBe('other');
  });

  test('never overwrites what somebody else has written meanwhile', async () => {
    await put('file', 'first');
    await using mounted = await mountBucket({ url });
    const fd = openSync(join(mounted.path, 'file'), 'r+');
    writeSync(fd, 'mine');
    await put('file', 'theirs');
    expect(codeOf(() => fsyncSync(fd))).toBe('ESTALE');
    expect(codeOf(() => closeSync(fd))).toBe('ESTALE');
    expect(await contentOf('file')).toBe('theirs');
    expect(readFileSync(join(mounted.path, 'file'), 'utf8')).toBe('theirs');
    // A new file, too.
    const created = openSync(join(mounted.path, 'new'), 'w');
    writeSync(created, 'mine');
    await put('new', 'theirs');
    expect(codeOf(() => closeSync(created))).toBe('ESTALE');
    expect(await contentOf('new')).toBe('theirs');
  });

  test('reads one version of an object, and a new open the new one', async () => {
    const size = 12 * 1024 * 1024;
    await store.put('file', Buffer.alloc(size, 'a'));
    await using mounted = await mountBucket({ url });
    const fd = openSync(join(mounted.path, 'file'), 'r');
    const buffer = Buffer.alloc(1024);
    readSync(fd, buffer, 0, 1024, 0);
    await store.put('file', Buffer.alloc(1000, 'b'));
    expect(readFileSync(join(mounted.path, 'file'))).toEqual(Buffer.alloc(1000, 'b'));
    let code: unknown;
    for (let at = 1024; code === undefined && at < size; at += 1024) {
      code = codeOf(() => readSync(fd, buffer, 0, 1024, at));
      if (code === undefined) expect(buffer.equals(Buffer.alloc(1024, 'a'))).toBe(true);
    }
    expect(code).toBe('ESTALE');
    closeSync(fd);
  });

  test('refuses what does not fit into its scratch space, and goes on', async () => {
    await using mounted = await mountBucket({ url, spaceBytes: 1024 * 1024 });
    const path = join(mounted.path, 'file');
    expect(codeOf(() => writeFileSync(path, Buffer.alloc(1024 * 1024 + 1)))).toBe('ENOSPC');
    rmSync(path);
    writeFileSync(path, 'fits');
    expect(await contentOf('file')).toBe('fits');
  });

  test('does not show keys that are no names, and a file hides a folder of its name', async () => {
    await put('a', 'file');
    await put('a-b', 'between');
    await put('a/b', 'hidden');
    await put(`d/${'n'.repeat(254)}`, 'long');
    await using mounted = await mountBucket({ url });
    expect(readdirSync(mounted.path)).toEqual(['a', 'a-b', 'd']);
    expect(readFileSync(join(mounted.path, 'a'), 'utf8')).toBe('file');
    expect(codeOf(() => readFileSync(join(mounted.path, 'a/b')))).toBe('ENOTDIR');
    expect(await contentOf('a/b')).toBe('hidden');
  });
});
