// Tests which data is on the disk after a power cut. They observe the system calls, because a file that was never
// flushed can
// be read without errors until the host crashes.
import { readlinkSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { openTestStore, patternOf, sealTestCheckpoint, testFacts, testParts } from './testing/test-store.ts';
import type { TestStore } from './testing/test-store.ts';

let shop: TestStore;
let flushed: string[];

beforeEach(async () => {
  shop = await openTestStore();
  flushed = [];
  const prototype = await prototypeOfHandles();
  for (const method of ['sync', 'datasync'] as const) {
    const original = Reflect.get<FileHandle, typeof method>(prototype, method);
    vi.spyOn(prototype, method).mockImplementation(async function (this: FileHandle) {
      const path = readlinkSync(`/proc/self/fd/${this.fd}`);
      await original.call(this);
      flushed.push(path);
    });
  }
});
afterEach(async () => {
  vi.restoreAllMocks();
  await shop[Symbol.asyncDispose]();
});

async function prototypeOfHandles(): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'soulbox-handle-'));
  try {
    await using handle = await open(join(folder, 'file'), 'w');
    return Object.getPrototypeOf(handle) as FileHandle;
  } finally {
    await rm(folder, { recursive: true });
  }
}

const flushesOf = (name: string): number => flushed.filter((path) => basename(path).startsWith(name)).length;

test('every part, the manifest, the folder and its parent are on the disk when a seal returns', async () => {
  const { directory } = await sealTestCheckpoint(shop.store, 's1');
  for (const name of Object.keys(testParts)) expect(flushesOf(name), name).toBe(1);
  expect(flushesOf('manifest.json')).toBeGreaterThan(0);
  expect(flushed).toContain(`${directory}.draft`);
  expect(flushed.at(-1)).toBe(join(shop.directory, 'states'));
});

test('the parts are flushed before the manifest, and both before the folder gets its name', async () => {
  await sealTestCheckpoint(shop.store, 's1');
  const names = flushed.map((path) => basename(path));
  const manifest = names.findIndex((name) => name.startsWith('manifest.json'));
  for (const name of Object.keys(testParts)) expect(names.indexOf(name), name).toBeLessThan(manifest);
  expect(names.indexOf('s1.draft')).toBeGreaterThan(manifest);
  expect(names.lastIndexOf('states')).toBeGreaterThan(names.indexOf('s1.draft'));
});

test('parts that were followed while the driver wrote them are flushed, too', async () => {
  await using draft = await shop.store.begin('s1');
  draft.follow((name) => name.startsWith('pages'));
  await writeFile(join(draft.directory, 'pages-1.img'), patternOf(3 * 2 ** 20));
  flushed.length = 0;
  await draft.seal(testFacts());
  expect(flushesOf('pages-1.img')).toBeGreaterThan(0);
});

test('a layer is on the disk before its digests', async () => {
  const path = shop.store.layerPath('l1');
  await writeFile(path, patternOf(2 ** 20));
  await shop.store.sealLayer('l1');
  const names = flushed.map((each) => basename(each));
  expect(flushed.indexOf(path)).toBeGreaterThanOrEqual(0);
  expect(flushed.indexOf(path)).toBeLessThan(names.findIndex((name) => name.startsWith('l1.json')));
});

test('the disk of a paused sandbox is flushed to the host’s disk before it is digested', async () => {
  const path = join(shop.directory, 'disk.img');
  await writeFile(path, patternOf(2 ** 20));
  await shop.store.digestDisk(path);
  expect(flushed).toContain(path);
});
