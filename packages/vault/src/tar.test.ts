import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, open, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { removeTree } from '@soulbox/base';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { packTree, unpackTree } from './tar.ts';

let folder: string;
beforeEach(async () => void (folder = await mkdtemp(join(tmpdir(), 'vault-tar-'))));
afterEach(async () => await removeTree(folder));
const { signal } = new AbortController();

test.each([true, false])('a sparse file and its mode survive, compressed: %s', async (compresses) => {
  const [from, to] = [join(folder, 'from'), join(folder, 'to')];
  await mkdir(join(from, 'd'), { recursive: true });
  await mkdir(to);
  const data = randomBytes(3_000_000);
  await using file = await open(join(from, 'd', 'disk.img'), 'w', 0o640);
  await file.write(data, 0, data.length, 50_000_000);
  await file.truncate(1_000_000_000);
  const options = { signal, compresses };
  await unpackTree(to, packTree({ directory: from, names: ['d/disk.img'] }, options), options);
  const path = join(to, 'd', 'disk.img');
  const { size, blocks, mode } = await stat(path);
  expect([size, mode & 0o777]).toEqual([1_000_000_000, 0o640]);
  expect(blocks * 512).toBeLessThan(4_000_000);
  await using copy = await open(path);
  const { buffer } = await copy.read(Buffer.alloc(data.length), 0, data.length, 50_000_000);
  expect(buffer.equals(data)).toBe(true);
});

test('a name that is missing fails, and so does an archive that ends early or whose content fails', async () => {
  const options = { signal, compresses: false };
  const pack = async (names: string[]): Promise<Buffer> => {
    const chunks: Buffer[] = [];
    for await (const chunk of packTree({ directory: folder, names }, options)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  await expect(pack(['missing'])).rejects.toThrow();
  await writeFile(join(folder, 'a'), randomBytes(100_000));
  const archive = await pack(['a']);
  const target = join(folder, 'target');
  await mkdir(target);
  async function* of(bytes: Buffer, fault?: Error): AsyncGenerator<Buffer> {
    yield await Promise.resolve(bytes);
    if (fault !== undefined) throw fault;
  }
  await expect(unpackTree(target, of(archive.subarray(0, 50_000)), options)).rejects.toThrow();
  const fault = new Error('the store is away');
  await expect(unpackTree(target, of(archive.subarray(0, 50_000), fault), options)).rejects.toBe(fault);
  await unpackTree(target, of(archive), options);
  expect((await readFile(join(target, 'a'))).equals(await readFile(join(folder, 'a')))).toBe(true);
});

test.each([true, false])(
  'a file that is touched while it is read is refused unless it is stable (%s)',
  async (isStable) => {
    const content = randomBytes(10_000_000);
    await writeFile(join(folder, 'a'), content);
    async function* packed(): AsyncGenerator<Buffer> {
      let isFirst = true;
      for await (const chunk of packTree({ directory: folder, names: ['a'], isStable }, options)) {
        if (isFirst) await utimes(join(folder, 'a'), 1, 1);
        isFirst = false;
        yield chunk;
      }
    }
    const options = { signal, compresses: false };
    const target = join(folder, 'target');
    await mkdir(target);
    const unpacking = unpackTree(target, packed(), options);
    if (!isStable) {
      await expect(unpacking).rejects.toThrow();
      return;
    }
    await unpacking;
    expect((await readFile(join(target, 'a'))).equals(content)).toBe(true);
    await expect(
      unpackTree(target, packTree({ directory: folder, names: ['b'], isStable }, options), options),
    ).rejects.toThrow();
  },
);

test('an aborted signal ends the archive', async () => {
  const ended = new AbortController();
  await writeFile(join(folder, 'a'), randomBytes(10_000_000));
  const read = async (): Promise<void> => {
    for await (const _ of packTree({ directory: folder, names: ['a'] }, { signal: ended.signal, compresses: true }))
      ended.abort(new Error('enough'));
  };
  await expect(read()).rejects.toThrow('enough');
});
