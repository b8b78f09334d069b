/** @module-tag violation */
import { randomBytes } from 'node:crypto';
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer, text } from 'node:stream/consumers';
import fc from 'fast-check';
import { removeTree, SoulBoxError } from '@soulbox/base';
import { openBlobReader, openDiskBlobs } from '@soulbox/storage';
import type { BlobStore } from '@soulbox/storage';
import { describeBlobs } from '@soulbox/storage/blobs-conformance';
import { afterEach, beforeEach, describe, expect, it, test } from 'vitest';
import { readSealed } from './blob-content.ts';
import { blockBytes, headerBytes, storedBlockBytes } from './blob-format.ts';
import type { RootKey, SealedStore } from './blob-format.ts';
import { sealBlobs } from './sealed-blobs.ts';
import type { SealedBlobs } from './sealed-blobs.ts';

const newRoot = (): RootKey => ({ id: randomBytes(16).toString('hex'), key: randomBytes(32) });
const root = newRoot();
const openOn = async (directory: string, mayBeReadable = false, key = root, store: SealedStore = 'uploads') =>
  sealBlobs(await openDiskBlobs({ directory }), { store, root: key, mayBeReadable });

describeBlobs('encrypted files', openOn);
describeBlobs('encrypted files, beside which there may be readable ones', (folder) => openOn(folder, true));

let folder: string;
let blobs: SealedBlobs;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soulbox-sealed-'));
  blobs = await openOn(folder);
});
afterEach(() => removeTree(folder));

const fileOf = (key: string): string => join(folder, key.replaceAll('/', '~'));
const put = async (key: string, content: Buffer | string, into: BlobStore = blobs) =>
  await into.put(key, Readable.from([Buffer.from(content)]));
const read = async (key: string, from: BlobStore = blobs): Promise<Buffer | undefined> => {
  const stream = await from.read(key);
  return stream === undefined ? undefined : await buffer(stream as AsyncIterable<Buffer>);
};
const damaged = { reason: 'state_damaged' };
/** Three blocks, the last one short. */
const content = randomBytes(2 * blockBytes + 1000);

describe('an encrypted blob', () => {
  it.each([0, 1, blockBytes - 1, blockBytes, blockBytes + 1, 3 * blockBytes])(
    'of %d bytes is read whole, in parts and by its size',
    async (size) => {
      const bytes = randomBytes(size);
      expect(await put('t/a', bytes)).toEqual({ key: 't/a', sizeBytes: size });
      expect(await blobs.stat('t/a')).toEqual({ key: 't/a', sizeBytes: size });
      expect(await blobs.list('t/')).toEqual([{ key: 't/a', sizeBytes: size }]);
      expect((await read('t/a'))?.equals(bytes)).toBe(true);
      for (const offset of [0, size - 1, size, size + blockBytes])
        for (const length of [0, 1, blockBytes + 2]) {
          const stream = await blobs.read('t/a', { offset: Math.max(offset, 0), length });
          const expected = bytes.subarray(Math.max(offset, 0), Math.max(offset, 0) + length);
          expect((await buffer(stream as AsyncIterable<Buffer>)).equals(expected)).toBe(true);
        }
    },
  );

  it('does not depend on how its content arrives', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 0, max: blockBytes + 9 }), { maxLength: 6 }), async (sizes) => {
        const pieces = sizes.map((size) => randomBytes(size));
        await blobs.put('a', Readable.from(pieces));
        expect((await read('a'))?.equals(Buffer.concat(pieces))).toBe(true);
      }),
      { numRuns: 15 },
    );
  });

  it('has neither its content nor the same bytes twice on the disk', async () => {
    const secret = 'canary-'.repeat(1000);
    await put('a', secret);
    const first = await readFile(fileOf('a'));
    await put('a', secret);
    const second = await readFile(fileOf('a'));
    expect([first.includes('canary'), second.includes('canary')]).toEqual([false, false]);
    expect(first.subarray(headerBytes).equals(second.subarray(headerBytes))).toBe(false);
  });

  it('costs 64 bytes, and 16 for each block', async () => {
    await put('a', content);
    expect((await stat(fileOf('a'))).size).toBe(content.length + headerBytes + 3 * 16);
  });

  it('leaves no file open when its stream is dropped unread or half read', async () => {
    await put('a', content);
    const count = async () => (await readdir('/proc/self/fd')).length;
    const before = await count();
    for (let times = 0; times < 20; times++) {
      (await blobs.read('a'))?.destroy();
      (await blobs.read('a', { offset: 5, length: 10 }))?.destroy();
      for await (const piece of (await blobs.read('a')) ?? []) if (piece.length > 0) break;
    }
    await expect.poll(count, { timeout: 5000 }).toBeLessThanOrEqual(before);
  });

  it('can be read in parts while it is replaced again and again', async () => {
    const versions = [Buffer.alloc(blockBytes + 5, 'a'), Buffer.alloc(3 * blockBytes, 'b')];
    await put('a', versions[0] ?? '');
    let isOver = false;
    const writing = (async () => {
      for (let n = 0; n < 30; n++) await put('a', versions[n % 2] ?? '');
      isOver = true;
    })();
    let failed = 0;
    while (!isOver) {
      const part = await blobs
        .read('a', { offset: blockBytes, length: 3 })
        .then(async (stream) => await text(stream as AsyncIterable<Buffer>))
        .catch((error: unknown) => {
          expect(error).toMatchObject(damaged);
          failed++;
          return 'aaa';
        });
      expect(['aaa', 'bbb']).toContain(part);
    }
    await writing;
    expect(failed).toBeLessThan(3);
  });
});

describe('who can write to the disk', () => {
  /** Reads must fail, whole and in parts, without a wrong byte. */
  const expectRefused = async (key: string, from = blobs): Promise<void> => {
    await expect(read(key, from)).rejects.toMatchObject(damaged);
    const parts = [0, 1, 2].map(async (block) => {
      const stream = await from.read(key, { offset: block * blockBytes, length: 10 });
      const part = await buffer(stream as AsyncIterable<Buffer>);
      expect(part.equals(content.subarray(block * blockBytes, block * blockBytes + 10))).toBe(true);
    });
    expect((await Promise.allSettled(parts)).some(({ status }) => status === 'rejected')).toBe(true);
  };
  const change = async (key: string, act: (bytes: Buffer) => Buffer): Promise<void> => {
    await writeFile(fileOf(key), act(await readFile(fileOf(key))));
  };
  const block = (bytes: Buffer, index: number): Buffer =>
    bytes.subarray(headerBytes + index * storedBlockBytes, headerBytes + (index + 1) * storedBlockBytes);
  beforeEach(async () => {
    await put('t1/a', content);
  });

  it('cannot change a single bit', async () => {
    const whole = await readFile(fileOf('t1/a'));
    const places = [0, 15, 16, 31, 32, headerBytes - 1, headerBytes, whole.length - 17, whole.length - 1];
    for (const at of [...places, headerBytes + storedBlockBytes - 1]) {
      const changed = Buffer.from(whole);
      changed[at] = (changed[at] ?? 0) ^ 1;
      await writeFile(fileOf('t1/a'), changed);
      await expectRefused('t1/a');
    }
  });

  it.each([
    ['in the header', headerBytes - 1],
    ['behind the header', headerBytes],
    ['in the first tag', headerBytes + 8],
    ['behind the first block', headerBytes + storedBlockBytes],
    ['behind the second block', headerBytes + 2 * storedBlockBytes],
    ['in the last block', headerBytes + 2 * storedBlockBytes + 500],
    ['to nothing', 0],
  ])('cannot cut it %s', async (_where, size) => {
    await truncate(fileOf('t1/a'), size);
    await expectRefused('t1/a');
    // Also for a part behind the cut.
    await expect(
      blobs.read('t1/a', { offset: 10 * blockBytes, length: 1 }).then((stream) => text(stream as Readable)),
    ).rejects.toMatchObject(damaged);
  });

  it('cannot exchange, repeat, leave out or add blocks', async () => {
    const whole = await readFile(fileOf('t1/a'));
    const header = whole.subarray(0, headerBytes);
    const [first, second, last] = [block(whole, 0), block(whole, 1), block(whole, 2)];
    for (const order of [
      [second, first, last],
      [first, first, last],
      [first, last],
      [second, last],
      [first, second, last, last],
      [first, second, second],
      [first, second, last, Buffer.alloc(16)],
    ]) {
      await writeFile(fileOf('t1/a'), Buffer.concat([header, ...order]));
      await expectRefused('t1/a');
    }
  });

  it('cannot move it to another name, another team, another store or another server', async () => {
    await copyFile(fileOf('t1/a'), fileOf('t2/a'));
    await copyFile(fileOf('t1/a'), fileOf('t1/b'));
    await expectRefused('t2/a');
    await expectRefused('t1/b');
    await expectRefused('t1/a', await openOn(folder, false, root, 'functions'));
    await expectRefused('t1/a', await openOn(folder, false, newRoot()));
    await expectRefused('t1/a', await openOn(folder, false, { ...root, key: randomBytes(32) }));
    expect((await read('t1/a'))?.equals(content)).toBe(true);
  });

  it('is told when the blob belongs to other records', async () => {
    const other = newRoot();
    const message = `encrypted with the root key ${root.id}, but the records have the root key ${other.id}`;
    await expect(read('t1/a', await openOn(folder, false, other))).rejects.toThrow(message);
  });

  it('cannot give it the header or the blocks of another blob', async () => {
    await put('t1/b', content);
    const other = await readFile(fileOf('t1/b'));
    await change('t1/a', (own) => Buffer.concat([own.subarray(0, headerBytes), other.subarray(headerBytes)]));
    await expectRefused('t1/a');
    await put('t1/a', content);
    await change('t1/a', (own) =>
      Buffer.concat([own.subarray(0, headerBytes), block(own, 0), block(other, 1), block(own, 2)]),
    );
    await expectRefused('t1/a');
  });

  it('cannot put a readable one there', async () => {
    await writeFile(fileOf('t1/a'), content);
    await expectRefused('t1/a');
    await writeFile(fileOf('t1/a'), 'short');
    await expect(read('t1/a')).rejects.toMatchObject(damaged);
  });

  it('gives a reader with the key of one name nothing else', async () => {
    const reader = openBlobReader({ directory: folder });
    const wanted = { store: 'uploads', key: 't1/a', placeKey: blobs.keyOf('t1/a'), mayBeReadable: false } as const;
    const open = async (given: object) =>
      await readSealed(reader, { ...wanted, ...given }).then((stream) => buffer(stream as AsyncIterable<Buffer>));
    expect((await open({})).equals(content)).toBe(true);
    await put('t1/a', 'uploaded again');
    expect(String(await open({}))).toBe('uploaded again');
    await put('t1/b', content);
    await expect(open({ key: 't1/b' })).rejects.toMatchObject(damaged);
    await expect(open({ placeKey: new Uint8Array(32) })).rejects.toMatchObject(damaged);
    await rename(fileOf('t1/b'), fileOf('t1/a'));
    await expect(open({})).rejects.toMatchObject(damaged);
    expect(await readSealed(reader, { ...wanted, key: 't1/none' })).toBeUndefined();
  });
});

describe('blobs of an older version', () => {
  let mixed: SealedBlobs;
  let plain: BlobStore;
  const room = {
    signal: new AbortController().signal,
    holdRoom: () => Promise.resolve({ [Symbol.dispose]: () => undefined }),
  };
  beforeEach(async () => {
    plain = await openDiskBlobs({ directory: folder });
    mixed = await openOn(folder, true);
  });

  it('are read, with their sizes, until they are encrypted, and are refused when readable ones are not expected', async () => {
    for (const size of [0, 5, headerBytes, 3 * blockBytes]) {
      const bytes = randomBytes(size);
      await put('t/a', bytes, plain);
      expect((await read('t/a', mixed))?.equals(bytes)).toBe(true);
      expect(await mixed.stat('t/a')).toEqual({ key: 't/a', sizeBytes: size });
      const part = await mixed.read('t/a', { offset: 2, length: 2 });
      expect((await buffer(part as AsyncIterable<Buffer>)).equals(bytes.subarray(2, 4))).toBe(true);
      await expect(read('t/a')).rejects.toMatchObject(damaged);
      expect(await mixed.sealReadable(room)).toEqual({ sealed: 1, left: [] });
      for (const store of [mixed, blobs]) expect((await read('t/a', store))?.equals(bytes)).toBe(true);
      expect(await mixed.stat('t/a')).toEqual({ key: 't/a', sizeBytes: size });
    }
    mixed.refuseReadable();
    await put('t/a', 'x', plain);
    await expect(read('t/a', mixed)).rejects.toMatchObject(damaged);
  });

  it('are encrypted once, and the others are left as they are', async () => {
    await put('a', 'old', plain);
    await put('b', 'new', mixed);
    const before = await readFile(fileOf('b'));
    expect(await mixed.sealReadable(room)).toEqual({ sealed: 1, left: [] });
    expect(await mixed.sealReadable(room)).toEqual({ sealed: 0, left: [] });
    expect((await readFile(fileOf('b'))).equals(before)).toBe(true);
    expect((await readFile(fileOf('a'))).includes('old')).toBe(false);
    expect(String(await read('a'))).toBe('old');
  });

  it('stay when there is no room for the encrypted copy, and are encrypted when there is', async () => {
    for (const key of ['a', 'b', 'c']) await put(key, `old ${key}`, plain);
    const full = new SoulBoxError('disk_full', 'full');
    let bytes = 0;
    const holdRoom = (asked: number) => {
      bytes += asked;
      return asked === 5 && bytes === 10 ? Promise.reject(full) : room.holdRoom();
    };
    expect(await mixed.sealReadable({ ...room, holdRoom })).toEqual({ sealed: 2, left: [full] });
    for (const key of ['a', 'b', 'c']) expect(String(await read(key, mixed))).toBe(`old ${key}`);
    expect(await mixed.sealReadable(room)).toEqual({ sealed: 1, left: [] });
    for (const key of ['a', 'b', 'c']) expect(String(await read(key))).toBe(`old ${key}`);
  });

  it('are encrypted although many before them never fit, and beside files of somebody else', async () => {
    for (let n = 10; n < 30; n++) await put(`a/big${n}`, 'larger', plain);
    for (const key of ['b', 'c']) await put(key, 'old', plain);
    for (const name of ['.nfs01', 'x~']) await writeFile(join(folder, name), 'foreign');
    await mkdir(join(folder, 'lost+found'));
    const full = new SoulBoxError('disk_full', 'full');
    const holdRoom = (asked: number) => (asked > 3 ? Promise.reject(full) : room.holdRoom());
    const passes = [await mixed.sealReadable({ ...room, holdRoom }), await mixed.sealReadable({ ...room, holdRoom })];
    expect(passes.map(({ sealed }) => sealed)).toEqual([0, 2]);
    expect(await mixed.sealReadable(room)).toEqual({ sealed: 20, left: [] });
    for (const name of ['.nfs01', 'x~']) expect(await readFile(join(folder, name), 'utf8')).toBe('foreign');
  });

  it('are whole after a crash at any point: a half copy is removed, the rest is done by the next start', async () => {
    for (const key of ['a', 'b']) await put(key, `old ${key}`, plain);
    const stop = new AbortController();
    const holdRoom = () => {
      stop.abort();
      return room.holdRoom();
    };
    await expect(mixed.sealReadable({ signal: stop.signal, holdRoom })).rejects.toThrow();
    await writeFile(join(folder, '.new-half'), 'half');
    const next = await openOn(folder, true);
    expect(await readdir(folder)).toEqual(['a', 'b']);
    expect(await next.sealReadable(room)).toEqual({ sealed: 2, left: [] });
    for (const key of ['a', 'b']) expect(String(await read(key))).toBe(`old ${key}`);
  });

  it('do not delay a stop: a large one stays as it was, without a half copy', async () => {
    await put('a', 'old', plain);
    const stop = new AbortController();
    let pieces = 0;
    async function* large() {
      for (; pieces < 1000; pieces++) {
        if (pieces === 3) stop.abort();
        yield await Promise.resolve(Buffer.alloc(1000));
      }
    }
    const slow: BlobStore = {
      ...plain,
      read: async (key, range) => (range === undefined ? Readable.from(large()) : await plain.read(key, range)),
    };
    const sealing = sealBlobs(slow, { store: 'uploads', root, mayBeReadable: true });
    await expect(sealing.sealReadable({ ...room, signal: stop.signal })).rejects.toThrow(/abort/i);
    expect(pieces).toBeLessThan(100);
    expect(await readdir(folder)).toEqual(['a']);
    expect(String(await read('a', mixed))).toBe('old');
  });

  it('are not brought back over one that is written or deleted meanwhile', async () => {
    for (const key of ['deleted', 'gone elsewhere', 'replaced', 'under way'].map((name) => name.replace(' ', '-')))
      await put(key, 'old', plain);
    const later: Promise<unknown>[] = [];
    const arriving = new Readable({ read: () => undefined });
    later.push(mixed.put('under-way', arriving));
    let count = 0;
    const holdRoom = async () => {
      count++;
      if (count === 1) {
        later.push(mixed.delete('deleted'));
        await put('replaced', 'new', mixed);
        await plain.delete('gone-elsewhere');
      }
      return await room.holdRoom();
    };
    const { left } = await mixed.sealReadable({ ...room, holdRoom });
    expect(left).toMatchObject([{ reason: 'illegal_transition' }]);
    arriving.push('newest');
    arriving.push(null);
    await Promise.all(later);
    expect(await mixed.sealReadable(room)).toEqual({ sealed: 0, left: [] });
    expect((await blobs.list('')).map(({ key }) => key)).toEqual(['replaced', 'under-way']);
    expect([String(await read('replaced')), String(await read('under-way'))]).toEqual(['new', 'newest']);
  });

  test('one that begins like an encrypted one harms nobody else', async () => {
    await put('mine', content);
    await put('t/evil', await readFile(fileOf('mine')), plain);
    await put('t/good', 'good', plain);
    expect(await mixed.sealReadable(room)).toEqual({ sealed: 1, left: [] });
    await expect(read('t/evil', mixed)).rejects.toMatchObject(damaged);
    expect(String(await read('t/good'))).toBe('good');
  });
});
