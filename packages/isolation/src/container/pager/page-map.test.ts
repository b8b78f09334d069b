import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseMessage } from './image-file.ts';
import { listPageMaps, readLazyRuns, readPageMap } from './page-map.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-page-map-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const magic = { pagemap: 0x56084025, mm: 0x57492820 };
const [present, lazy, inParent] = [4, 2, 1];

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value % 0x80) | 0x80, ...varint(Math.floor(value / 0x80))];
}

const field = (number: number, value: number): number[] => [number * 8, ...varint(value)];
const nested = (number: number, bytes: readonly number[]): number[] => [
  number * 8 + 2,
  ...varint(bytes.length),
  ...bytes,
];
const entryOf = (address: number, pages: number, flags: number): number[] => [
  ...field(1, address),
  ...field(2, 0),
  ...field(4, flags),
  ...field(5, pages),
];

async function writeImage(
  name: string,
  kind: keyof typeof magic,
  messages: readonly (readonly number[])[],
): Promise<void> {
  const words = (...values: number[]): Buffer => Buffer.from(new Uint32Array(values).buffer);
  const parts = messages.flatMap((message) => [words(message.length), Buffer.from(message)]);
  await writeFile(join(directory, name), Buffer.concat([words(0x54564319, magic[kind]), ...parts]));
}

test('runs follow each other in the pages file that the head names', async () => {
  const address = 0x7fff_f7a0_0000;
  await writeImage('pagemap-7.img', 'pagemap', [
    field(1, 3),
    entryOf(0x1000, 2, present),
    entryOf(address, 300, present | lazy),
  ]);
  expect(readPageMap(directory, 'pagemap-7.img')).toEqual({
    pagesFile: 'pages-3.img',
    runs: [
      { start: 0x1000, end: 0x3000, offset: 0, lazy: false },
      { start: address, end: address + 300 * 4096, offset: 0x2000, lazy: true },
    ],
  });
});

test('counts are read from the old field where the new one is missing', async () => {
  await writeImage('pagemap-7.img', 'pagemap', [
    field(1, 1),
    [...field(1, 0x1000), ...field(2, 5), ...field(4, present)],
  ]);
  expect(readPageMap(directory, 'pagemap-7.img').runs).toMatchObject([{ end: 0x6000 }]);
});

test('lazy runs are cut where one mapping ends and the next begins', async () => {
  await writeImage('pagemap-7.img', 'pagemap', [
    field(1, 1),
    entryOf(0x1000, 1, present),
    entryOf(0x10000, 8, present | lazy),
  ]);
  const mappings = [0x13000, 0x15000, 0x18000].map((end) => nested(14, [...field(1, 0), ...field(2, end)]));
  await writeImage('mm-7.img', 'mm', [mappings.flat()]);
  expect(readLazyRuns(directory, 7).runs.map(({ start, end, offset }) => [start, end, offset])).toEqual([
    [0x10000, 0x13000, 0x1000],
    [0x13000, 0x15000, 0x4000],
    [0x15000, 0x18000, 0x6000],
  ]);
});

test.each([
  ['in a parent image', present | inParent],
  ['nowhere', lazy],
])('pages that are %s are refused', async (_, flags) => {
  await writeImage('pagemap-7.img', 'pagemap', [field(1, 1), entryOf(0x1000, 1, flags)]);
  expect(() => readPageMap(directory, 'pagemap-7.img')).toThrow('not in this image');
});

test('an image of another kind, a part of one and an empty one are refused', async () => {
  await writeImage('pagemap-1.img', 'mm', [field(1, 1)]);
  await writeImage('pagemap-2.img', 'pagemap', []);
  await writeFile(join(directory, 'pagemap-3.img'), '');
  const whole = Buffer.from(new Uint32Array([0x54564319, magic.pagemap, 9]).buffer);
  await writeFile(join(directory, 'pagemap-4.img'), whole);
  await writeFile(join(directory, 'pagemap-5.img'), whole.subarray(0, 10));
  expect(() => readPageMap(directory, 'pagemap-1.img')).toThrow('no pagemap image');
  expect(() => readPageMap(directory, 'pagemap-2.img')).toThrow('empty');
  expect(() => readPageMap(directory, 'pagemap-3.img')).toThrow('no pagemap image');
  expect(() => readPageMap(directory, 'pagemap-4.img')).toThrow('within a message');
  expect(() => readPageMap(directory, 'pagemap-5.img')).toThrow('within a message');
  expect(() => readPageMap(directory, 'pagemap-6.img')).toThrow('ENOENT');
});

test.each([
  ['a number', [0x08, 0xff]],
  ['a field', [0x12, 5, 1]],
  ['a fixed number', [0x09, 1, 2, 3]],
])('a message that ends within %s is refused', (_, bytes) => {
  expect(() => parseMessage(Uint8Array.from(bytes))).toThrow('ends within');
});

test('a message with a wire type that does not exist is refused', () => {
  expect(() => parseMessage(Uint8Array.from([0x0b]))).toThrow('wire type 3');
});

test('all page maps are listed, and nothing else', async () => {
  const names = ['pagemap-1.img', 'pagemap-shmem-5.img', 'pages-1.img', 'mm-1.img', 'pagemap-1.img.tmp'];
  for (const name of names) await writeFile(join(directory, name), '');
  expect(listPageMaps(directory).sort()).toEqual(['pagemap-1.img', 'pagemap-shmem-5.img']);
});
