import { expect, test } from 'vitest';
import { blocksOfChunks, chunksOfBlocks } from './block-names.ts';

const blocks = { path: '', count: 20, first: { 'pages-2.img': 9, 'pages-1.img': 3 } };

test('blocks are found again after another upload, in their order', () => {
  const names = blocksOfChunks(blocks, [10, 3, 8, 9]);
  expect(names).toEqual(['pages-2.img:1', 'pages-1.img:0', 'pages-1.img:5', 'pages-2.img:0']);
  expect(chunksOfBlocks(blocks, names)).toEqual([10, 3, 8, 9]);
  expect(chunksOfBlocks({ ...blocks, first: { 'pages-1.img': 1, 'pages-2.img': 7 } }, names)).toEqual([8, 1, 6, 7]);
});

test('chunks before all parts, and blocks that the parcel does not have, are left out', () => {
  expect(blocksOfChunks(blocks, [2, 3])).toEqual(['pages-1.img:0']);
  expect(
    chunksOfBlocks(blocks, ['pages-2.img:11', 'pages-3.img:1', '', 'x:y', 'pages-1.img:1.5', 'toString:1']),
  ).toEqual([]);
});
