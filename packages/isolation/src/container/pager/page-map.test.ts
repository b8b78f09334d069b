import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { criuImage, field, mappingsTo, pageFlags, pagesAt } from '../../testing/criu-image.ts';
import { listPageMaps, readLazyRuns, readPageMap } from './page-map.ts';

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-page-map-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const { present, lazy, inParent } = pageFlags;

async function writeImage(name: string, ...image: Parameters<typeof criuImage>): Promise<void> {
  await writeFile(join(directory, name), criuImage(...image));
}

test('runs follow each other in the pages file that the head names', async () => {
  const address = 0x7fff_f7a0_0000;
  await writeImage(
    'pagemap-7.img',
    'pagemap',
    field(1, 3),
    pagesAt(0x1000, 2, present),
    pagesAt(address, 300, present | lazy),
  );
  expect(readPageMap(directory, 'pagemap-7.img')).toEqual({
    pagesFile: 'pages-3.img',
    runs: [
      { start: 0x1000, end: 0x3000, offset: 0, lazy: false },
      { start: address, end: address + 300 * 4096, offset: 0x2000, lazy: true },
    ],
  });
});

test('counts are read from the old field if the new one is missing', async () => {
  const old = [...field(1, 0x1000), ...field(2, 5), ...field(4, present)];
  await writeImage('pagemap-7.img', 'pagemap', field(1, 1), old);
  expect(readPageMap(directory, 'pagemap-7.img').runs).toMatchObject([{ end: 0x6000 }]);
});

/** The lazy runs of a process with one saved page that is not lazy and 8 lazy ones, from 0x10000 on. */
async function lazyRunsWith(...ends: number[]) {
  const entries = [pagesAt(0x1000, 1, present), pagesAt(0x10000, 8, present | lazy)];
  await writeImage('pagemap-7.img', 'pagemap', field(1, 1), ...entries);
  await writeImage('mm-7.img', 'mm', mappingsTo(...ends));
  return readLazyRuns(directory, 7).runs;
}

const run = (start: number, end: number, offset: number): object => ({ start, end, offset, lazy: true });

// Not sorted: nothing guarantees that CRIU keeps an order in the file.
test.each([[[0x13000, 0x15000, 0x18000]], [[0x18000, 0x13000, 0x15000]], [[0x20000, 0x15000, 0x13000, 0x8000]]])(
  'lazy runs are split where one mapping ends and the next begins: mappings to %j',
  async (ends) => {
    expect(await lazyRunsWith(...ends)).toEqual([
      run(0x10000, 0x13000, 0x1000),
      run(0x13000, 0x15000, 0x4000),
      run(0x15000, 0x18000, 0x6000),
    ]);
  },
);

test('a mapping that ends where a run begins or ends does not split it', async () => {
  expect(await lazyRunsWith(0x10000, 0x18000)).toEqual([run(0x10000, 0x18000, 0x1000)]);
});

test('a process without known mappings has its runs whole', async () => {
  const whole = [run(0x10000, 0x18000, 0x1000)];
  expect(await lazyRunsWith()).toEqual(whole);
  await writeImage('mm-7.img', 'mm');
  expect(readLazyRuns(directory, 7).runs).toEqual(whole);
});

test.each([
  ['in a parent image', present | inParent],
  ['nowhere', lazy],
])('pages that are %s are refused', async (_, flags) => {
  await writeImage('pagemap-7.img', 'pagemap', field(1, 1), pagesAt(0x1000, 1, flags));
  expect(() => readPageMap(directory, 'pagemap-7.img')).toThrow('not in this image');
});

test('an image of another kind, an empty one and a missing one are refused', async () => {
  await writeImage('pagemap-1.img', 'mm', field(1, 1));
  await writeImage('pagemap-2.img', 'pagemap');
  expect(() => readPageMap(directory, 'pagemap-1.img')).toThrow('not a pagemap image');
  expect(() => readPageMap(directory, 'pagemap-2.img')).toThrow('empty');
  expect(() => readPageMap(directory, 'pagemap-6.img')).toThrow('ENOENT');
});

test('all page maps are listed, and nothing else', async () => {
  const others = ['pages-1.img', 'mm-1.img', 'pagemap-1.img.tmp', 'old-pagemap-1.img'];
  for (const name of ['pagemap-1.img', 'pagemap-shmem-5.img', ...others]) await writeFile(join(directory, name), '');
  expect(listPageMaps(directory).sort()).toEqual(['pagemap-1.img', 'pagemap-shmem-5.img']);
});
