import { lstat, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer, text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import type { BlobStore, BlobStream } from '../blobs/blobs.ts';

const oneOf = (content: string | Buffer): AsyncIterable<Uint8Array> => Readable.from([Buffer.from(content)]);

/** Tests for every implementation of BlobStore. `open` is called again with the same folder to check what was kept. */
export function describeBlobs(name: string, open: (folder: string) => Promise<BlobStore>): void {
  describe(`blobs in ${name}`, () => {
    let folder: string;
    let blobs: BlobStore;

    beforeEach(async () => {
      folder = await mkdtemp(join(tmpdir(), 'soulbox-blobs-'));
      blobs = await open(join(folder, 'blobs'));
    });

    afterEach(async () => {
      await blobs[Symbol.asyncDispose]();
      await rm(folder, { recursive: true });
    });

    const read = async (key: string): Promise<string | undefined> => {
      const stream = await blobs.read(key);
      return stream === undefined ? undefined : await text(stream);
    };

    it('returns the written content, also after a restart', async () => {
      const content = Buffer.alloc(3_000_001, 'abcdefg');
      expect(await blobs.put('states/s1/pages-1.img', oneOf(content))).toEqual({
        key: 'states/s1/pages-1.img',
        sizeBytes: content.length,
      });
      await blobs[Symbol.asyncDispose]();
      blobs = await open(join(folder, 'blobs'));
      const stream = (await blobs.read('states/s1/pages-1.img')) as BlobStream;
      expect((await buffer(stream)).equals(content)).toBe(true);
    });

    it('distinguishes an empty blob from a missing one', async () => {
      await blobs.put('empty', oneOf(''));
      expect(await blobs.stat('empty')).toEqual({ key: 'empty', sizeBytes: 0 });
      expect(await read('empty')).toBe('');
      expect(await blobs.stat('none')).toBeUndefined();
      expect(await blobs.read('none')).toBeUndefined();
    });

    it.each([
      [{ offset: 2, length: 3 }, 'cde'],
      [{ offset: 0, length: 1 }, 'a'],
      [{ offset: 8, length: 100 }, 'ij'],
      [{ offset: 10, length: 5 }, ''],
      [{ offset: 1000, length: 5 }, ''],
      [{ offset: 3, length: 0 }, ''],
    ])('reads the range %j', async (range, expected) => {
      await blobs.put('a', oneOf('abcdefghij'));
      expect(await text((await blobs.read('a', range)) as BlobStream)).toBe(expected);
    });

    it('replaces a blob as a whole, while a reader of the old one continues', async () => {
      await blobs.put('a', oneOf('old'));
      const old = (await blobs.read('a')) as BlobStream;
      await blobs.put('a', oneOf('newer'));
      expect(await text(old)).toBe('old');
      expect(await read('a')).toBe('newer');
    });

    it('writes nothing when the source fails halfway, and keeps the old content', async () => {
      await blobs.put('a', oneOf('old'));
      const broken = async function* (): AsyncGenerator<Uint8Array> {
        yield Buffer.alloc(100_000);
        await Promise.resolve();
        throw new Error('the source broke');
      };
      await expect(blobs.put('a', broken())).rejects.toThrow('the source broke');
      await expect(blobs.put('b', broken())).rejects.toThrow('the source broke');
      expect(await read('a')).toBe('old');
      expect(await blobs.list('')).toEqual([{ key: 'a', sizeBytes: 3 }]);
    });

    it('keeps the complete content of the last of many writers of a key', async () => {
      const contents = Array.from({ length: 20 }, (_, number) => String(number).repeat(50_000));
      await Promise.all(contents.map((content) => blobs.put('a', oneOf(content))));
      expect(contents).toContain(await read('a'));
    });

    it('lists by prefix, sorted by key', async () => {
      for (const key of ['b/2', 'b/1', 'a', 'b', 'bb/1', 'b.c']) await blobs.put(key, oneOf(key));
      const list = async (prefix: string): Promise<string[]> => (await blobs.list(prefix)).map(({ key }) => key);
      expect(await list('')).toEqual(['a', 'b', 'b.c', 'b/1', 'b/2', 'bb/1']);
      expect(await list('b/')).toEqual(['b/1', 'b/2']);
      expect(await list('c')).toEqual([]);
    });

    it('copies the blobs of a prefix into a folder, where they stay when they are deleted here', async () => {
      for (const key of ['a/1', 'a/2', 'b']) await blobs.put(key, oneOf(key));
      const copies = join(folder, 'copies');
      expect(await blobs.copyInto(copies, 'a/')).toEqual(['a/1', 'a/2']);
      await blobs.delete('a/1');
      await blobs.put('a/2', oneOf('newer'));
      await using other = await open(copies);
      expect((await other.list('')).map(({ key }) => key)).toEqual(['a/1', 'a/2']);
      expect(await text((await other.read('a/1')) as BlobStream)).toBe('a/1');
      expect(await text((await other.read('a/2')) as BlobStream)).toBe('a/2');
    });

    it('deletes only the given blob, and a second time without an error', async () => {
      await blobs.put('a', oneOf('1'));
      await blobs.put('a/b', oneOf('2'));
      await blobs.delete('a');
      await blobs.delete('a');
      expect(await read('a')).toBeUndefined();
      expect(await read('a/b')).toBe('2');
    });

    test.for(['', '/', 'a/', '/a', 'a//b', '.', '..', 'a/../b', 'a/.b', '.new-a', 'a~b', 'a\\b', 'a\0', 'ä', 'a\n'])(
      'refuses the key %j',
      async (key) => {
        const refused = { reason: 'bad_request' };
        await expect(blobs.put(key, oneOf('x'))).rejects.toMatchObject(refused);
        await expect(blobs.putFile(key, join(folder, 'file'))).rejects.toMatchObject(refused);
        await expect(blobs.read(key)).rejects.toMatchObject(refused);
        await expect(blobs.stat(key)).rejects.toMatchObject(refused);
        await expect(blobs.delete(key)).rejects.toMatchObject(refused);
      },
    );

    it('accepts a key of 200 characters, and not one of 201', async () => {
      const longest = 'a/'.repeat(99) + 'bb';
      await blobs.put(longest, oneOf('x'));
      expect(await read(longest)).toBe('x');
      await expect(blobs.put(`${longest}b`, oneOf('x'))).rejects.toMatchObject({ reason: 'bad_request' });
    });

    it('moves a local file into the store', async () => {
      await writeFile(join(folder, 'file'), 'content');
      expect(await blobs.putFile('a', join(folder, 'file'))).toEqual({ key: 'a', sizeBytes: 7 });
      expect(await read('a')).toBe('content');
      await expect(lstat(join(folder, 'file'))).rejects.toMatchObject({ code: 'ENOENT' });
    });

    it('accepts neither a link nor a folder as a file', async () => {
      await symlink('/etc/hostname', join(folder, 'link'));
      await expect(blobs.putFile('a', join(folder, 'link'))).rejects.toMatchObject({ reason: 'bad_path' });
      await expect(blobs.putFile('a', folder)).rejects.toMatchObject({ reason: 'bad_path' });
      expect(await blobs.list('')).toEqual([]);
    });
  });
}
