import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { encodeHead, flatChunkBytes, listFlat, packFlat, parseHead, placesOf, unpackFlat } from './flat.ts';
import { createParcels } from './parcels.ts';
import { sealedObjects } from './sealed-objects.ts';
import { memoryAccess } from './testing/memory-access.ts';

const { signal } = new AbortController();
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'flat-'));
  await mkdir(join(folder, 'from/states/c'), { recursive: true, mode: 0o751 });
  await mkdir(join(folder, 'to'));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const files: Readonly<Record<string, Buffer>> = {
  'pages-1.img': randomBytes(2 * flatChunkBytes + 17),
  'pages-2.img': randomBytes(flatChunkBytes),
  'core-1.img': randomBytes(300),
  'empty.img': Buffer.alloc(0),
  'manifest.json': Buffer.from('{}'),
};
const fill = async (): Promise<void> => {
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, 'from/states/c', name), content);
};
const pack = async () => {
  const head = await listFlat(join(folder, 'from'), ['states/c']);
  return { head, headBytes: encodeHead(head).length };
};
async function contentOf(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const all: Buffer[] = [];
  for await (const piece of pieces) all.push(piece);
  return Buffer.concat(all);
}
async function* once(content: Buffer): AsyncGenerator<Buffer, void, void> {
  yield await Promise.resolve(content);
}

test('a tree comes back with its contents and modes', async () => {
  await fill();
  const { head, headBytes } = await pack();
  await unpackFlat(join(folder, 'to'), headBytes, once(await contentOf(packFlat(join(folder, 'from'), head, signal))));
  expect((await readdir(join(folder, 'to/states/c'))).sort()).toEqual(Object.keys(files).sort());
  for (const [name, content] of Object.entries(files))
    expect((await readFile(join(folder, 'to/states/c', name))).equals(content), name).toBe(true);
  expect((await stat(join(folder, 'to/states/c'))).mode & 0o777).toBe(
    (await stat(join(folder, 'from/states/c'))).mode & 0o777,
  );
});

test('each block of a large file is a chunk of its own, and small files come before them', async () => {
  await fill();
  const { head, headBytes } = await pack();
  const places = placesOf(headBytes, head);
  const parcels = createParcels(sealedObjects(memoryAccess(), 'a'.repeat(20)), randomBytes(32));
  const content = packFlat(join(folder, 'from'), head, signal);
  await parcels.put('states/c', content, { signal, chunkBytes: flatChunkBytes });
  const parcel = await parcels.open('states/c', signal);
  expect(parcel).toMatchObject({ chunkBytes: flatChunkBytes, sizeBytes: places.sizeBytes });
  const large = places.files.filter(({ path }) => path.includes('pages'));
  for (const { path, at } of large) {
    expect(at % flatChunkBytes).toBe(0);
    expect(at).toBeGreaterThanOrEqual(places.smallEnd);
    const chunk = await parcel?.chunk(at / flatChunkBytes + (path.includes('1') ? 1 : 0), signal);
    const expected = files[path.slice('states/c/'.length)] ?? Buffer.alloc(0);
    const from = path.includes('1') ? flatChunkBytes : 0;
    expect(chunk?.equals(expected.subarray(from, from + flatChunkBytes)), path).toBe(true);
  }
  for (const { path, at, sizeBytes } of places.files)
    if (!path.includes('pages')) expect(at + sizeBytes).toBeLessThanOrEqual(places.smallEnd);
});

test('content that ends early, and a head that names other places, are damage', async () => {
  await fill();
  const { head, headBytes } = await pack();
  const content = await contentOf(packFlat(join(folder, 'from'), head, signal));
  await expect(unpackFlat(join(folder, 'to'), headBytes, once(content.subarray(0, -1)))).rejects.toMatchObject({
    reason: 'storage_damaged',
  });
  for (const path of ['../x', '/x', 'a//b', 'a/../b', '.x', ''])
    expect(() =>
      parseHead(encodeHead({ format: 1, folders: [], files: [{ path, mode: 0o600, sizeBytes: 1 }] })),
    ).toThrow('unknown form');
});

test('links are refused, and a file that becomes shorter ends the content', async () => {
  await fill();
  const { head } = await pack();
  await writeFile(join(folder, 'from/states/c/core-1.img'), 'short');
  await expect(contentOf(packFlat(join(folder, 'from'), head, signal))).rejects.toThrow('became shorter');
  await symlink('/etc/passwd', join(folder, 'from/states/c/link'));
  await expect(pack()).rejects.toThrow('not a plain file');
});
