import { createHash } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { criuImage, field, pageFlags, pagesAt } from '../../testing/criu-image.ts';
import { createArrivalFile } from '../../host/arrival.ts';
import { prepareEagerBlocks, wantEagerBlocks } from './eager-blocks.ts';

const page = 4096;
const blockBytes = 2 * page;
const eager = pageFlags.present;
const lazy = pageFlags.present | pageFlags.lazy;

let directory: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'soulbox-eager-'));
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

const pathOf = (file: string): string => join(directory, file);

/** Saves a process whose pages file contains the given runs one after the other, and returns its digests. */
async function save(id: number, ...runs: (readonly [pages: number, flags: number])[]) {
  const entries = runs.map(([pages, flags], index) => pagesAt((index + 1) * 0x100000, pages, flags));
  await writeFile(pathOf(`pagemap-${id}.img`), criuImage('pagemap', field(1, id), ...entries));
  const pages = runs.reduce((sum, [count]) => sum + count, 0);
  const bytes = Buffer.concat([...Array(pages).keys()].map((number) => Buffer.alloc(page, number + id)));
  await writeFile(pathOf(`pages-${id}.img`), bytes);
  const blocks = [...Array(Math.ceil(bytes.length / blockBytes)).keys()];
  return {
    [`pages-${id}.img`]: blocks.map((index) =>
      createHash('sha256')
        .update(bytes.subarray(index * blockBytes, (index + 1) * blockBytes))
        .digest('hex'),
    ),
  };
}

/** Changes the pages of a file one at a time and returns those whose change is detected. */
async function seenPages(id: number, parts: Readonly<Record<string, readonly string[]>>): Promise<number[]> {
  const whole = await readFile(pathOf(`pages-${id}.img`));
  const seen: number[] = [];
  for (let number = 0; number * page < whole.length; number += 1) {
    const changed = Buffer.from(whole);
    changed[number * page + 100] = 0xff;
    await writeFile(pathOf(`pages-${id}.img`), changed);
    const outcome = prepareEagerBlocks(directory, { blockBytes, parts });
    if (await outcome.then(() => false, isDamaged)) seen.push(number);
  }
  await writeFile(pathOf(`pages-${id}.img`), whole);
  return seen;
}

function isDamaged(error: unknown): boolean {
  expect(error).toMatchObject({ reason: 'state_damaged' });
  return true;
}

test('unchanged data is accepted, including a partial last block', async () => {
  const parts = { ...(await save(1, [3, eager])), ...(await save(2, [2, eager], [3, lazy])) };
  await prepareEagerBlocks(directory, { blockBytes, parts });
});

test.each([
  ['all of an eager run', [[5, eager]], [0, 1, 2, 3, 4]],
  ['nothing of a lazy one', [[6, lazy]], []],
  // A block is verified as a whole, including lazy pages beside the eager ones.
  [
    'the blocks of an eager run before a lazy one',
    [
      [3, eager],
      [5, lazy],
    ],
    [0, 1, 2, 3],
  ],
  [
    'the blocks of an eager run behind a lazy one',
    [
      [3, lazy],
      [2, eager],
      [1, lazy],
    ],
    [2, 3, 4, 5],
  ],
  [
    'the block of one eager page',
    [
      [2, lazy],
      [1, eager],
      [3, lazy],
    ],
    [2, 3],
  ],
  [
    'a run that ends with its block, and no further',
    [
      [2, eager],
      [4, lazy],
    ],
    [0, 1],
  ],
  [
    'the blocks of several runs',
    [
      [1, eager],
      [5, lazy],
      [2, eager],
    ],
    [0, 1, 6, 7],
  ],
] as [string, [number, number][], number[]][])('a change is detected in %s', async (_, runs, expected) => {
  expect(await seenPages(1, await save(1, ...runs))).toEqual(expected);
});

test('blocks that still arrive are asked for at once, and only those that are read', async () => {
  const parts = await save(1, [2, lazy], [3, eager], [5, lazy]);
  const blockCount = parts['pages-1.img']?.length ?? 0;
  const path = join(directory, 'arriving');
  const arrivals = createArrivalFile(path, blockCount + 3);
  arrivals.note(3 + 1, 'there');
  const arriving = { path, count: blockCount + 3, first: { 'pages-1.img': 3 } };
  wantEagerBlocks(directory, { blockBytes, parts, arriving });
  // The run is in the blocks 1 and 2 of the file, and the first of them is there.
  expect(arrivals.wanted()).toEqual([3 + 2]);
  arrivals.close();
  wantEagerBlocks(directory, { blockBytes, parts });
});

test('two page maps may name one pages file: all pages that either reads at once are verified', async () => {
  const parts = await save(1, [2, eager], [2, lazy], [2, lazy]);
  const other = [pagesAt(0x100000, 4, lazy), pagesAt(0x900000, 2, eager)];
  await writeFile(pathOf('pagemap-shmem-9.img'), criuImage('pagemap', field(1, 1), ...other));
  expect(await seenPages(1, parts)).toEqual([0, 1, 4, 5]);
});

test('the error names the file and the block', async () => {
  const parts = await save(1, [6, eager]);
  await writeFile(pathOf('pages-1.img'), Buffer.alloc(0), { flag: 'r+' });
  await truncate(pathOf('pages-1.img'), 4 * page);
  await expect(prepareEagerBlocks(directory, { blockBytes, parts })).rejects.toMatchObject({
    reason: 'state_damaged',
    message: expect.stringContaining('pages-1.img') as unknown,
    cause: 'block 2',
  });
});

test('a missing pages file is damage if it is read, and none otherwise', async () => {
  const parts = { ...(await save(1, [2, eager])), ...(await save(2, [2, lazy])) };
  await rm(pathOf('pages-2.img'));
  await prepareEagerBlocks(directory, { blockBytes, parts });
  await rm(pathOf('pages-1.img'));
  await expect(prepareEagerBlocks(directory, { blockBytes, parts })).rejects.toMatchObject({
    reason: 'state_damaged',
    cause: { code: 'ENOENT' },
  });
});

test('a file or a block without a digest is damage', async () => {
  const parts = await save(1, [4, eager]);
  const [first = ''] = parts['pages-1.img'] ?? [];
  for (const less of [{}, { 'pages-1.img': [first] }])
    await expect(prepareEagerBlocks(directory, { blockBytes, parts: less })).rejects.toMatchObject({
      reason: 'state_damaged',
    });
});

test('no file stays open, whatever the result', async () => {
  const parts = await save(1, [4, eager]);
  const openFiles = (): string[] => readdirSync('/proc/self/fd');
  const before = openFiles().length;
  await prepareEagerBlocks(directory, { blockBytes, parts });
  await expect(prepareEagerBlocks(directory, { blockBytes, parts: {} })).rejects.toThrow();
  expect(openFiles()).toHaveLength(before);
});
