import { describe, expect, test } from 'vitest';
import { addLeaf, copyFrontier, rootOfFrontier } from './frontier.ts';
import type { Frontier } from './frontier.ts';
import {
  decodeBundle,
  decodeTile,
  encodeBundle,
  encodeTile,
  hashOfRange,
  parseTilePath,
  tileNames,
  tilePath,
} from './tiles.ts';
import type { TileName } from './tiles.ts';
import { hashLeaf, inclusionRanges, rootOf } from './tree.ts';
import { provesInclusion } from './verify-proof.ts';

describe('the path of a tile', () => {
  test('has groups of three digits, and the width of a partial one', () => {
    expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe('tile/0/x001/x234/067');
    expect(tilePath({ level: 'entries', index: 0, width: 7 })).toBe('tile/entries/000.p/7');
    expect(tilePath({ level: 2, index: 1000, width: 256 })).toBe('tile/2/x001/000');
  });

  test('is parsed back', () => {
    for (const index of [0, 7, 999, 1000, 1_234_067, 999_999_999])
      for (const level of [0, 5, 'entries'] as const)
        for (const width of [1, 255, 256])
          expect(parseTilePath(tilePath({ level, index, width }))).toEqual({ level, index, width });
  });

  test.each([
    'tile/0/../../secrets',
    'tile/0/000/../001',
    'tile/00/000',
    'tile/0/0',
    'tile/0/x000/001',
    'tile/0/000.p/0',
    'tile/0/000.p/257',
    'tile/0/000.p/256',
    'tile/0/000.p/01',
    'tile/entries/000\n',
    'tile/-1/000',
    '/tile/0/000',
    'checkpoint',
    '',
  ])('is not %j', (path) => {
    expect(parseTilePath(path)).toBeUndefined();
  });
});

test('a log of 70,000 has the tiles that the specification counts', () => {
  const names = [...tileNames(70_000)].map(tilePath);
  expect(names.filter((path) => path.startsWith('tile/0/'))).toHaveLength(274);
  expect(names).toContain('tile/0/273.p/112');
  expect(names.filter((path) => !path.startsWith('tile/0/') && !path.startsWith('tile/entries/'))).toEqual([
    'tile/1/000',
    'tile/1/001.p/17',
    'tile/2/000.p/1',
  ]);
  expect([...tileNames(256)].map(tilePath)).toEqual(['tile/entries/000', 'tile/0/000', 'tile/1/000.p/1']);
  expect([...tileNames(0)]).toEqual([]);
});

test('the right edge of a growing tree has its root, and proofs can be made from tiles alone, up to the third level', async () => {
  const files = new Map<string, Buffer>();
  const counts = [0, 0, 0];
  const frontier: Frontier = [];
  const size = 66_000;
  const leaves = Array.from({ length: size }, (_, index) => hashLeaf(Buffer.from(`entry ${index}`)));
  const sizes = [1, 2, 255, 256, 257, 65_536, 65_537];
  for (const [index, leaf] of leaves.entries()) {
    for (const { level, hashes } of addLeaf(frontier, leaf)) {
      files.set(tilePath({ level, index: counts[level] ?? 0, width: 256 }), encodeTile(hashes));
      counts[level] = (counts[level] ?? 0) + 1;
    }
    if (sizes.includes(index + 1)) expect(rootOfFrontier(frontier)).toEqual(rootOf(leaves.slice(0, index + 1)));
  }
  const root = rootOfFrontier(frontier);
  expect(frontier.map((tile) => tile.length)).toEqual([size % 256, 1, 1]);
  addLeaf(copyFrontier(frontier), hashLeaf(Buffer.from('more')));
  expect(rootOfFrontier(frontier)).toEqual(root);
  for (const [level, hashes] of frontier.entries())
    files.set(tilePath({ level, index: counts[level] ?? 0, width: hashes.length }), encodeTile(hashes));
  const read = (name: TileName) => Promise.resolve(files.get(tilePath(name)) ?? Buffer.alloc(0));
  for (const index of [0, 256, 65_535, 65_536, 65_999]) {
    const proof = await Promise.all(inclusionRanges(index, size).map((range) => hashOfRange(range, size, read)));
    const claim = { leaf: leaves[index] ?? Buffer.alloc(0), index, size, root };
    expect(provesInclusion(proof, claim)).toBe(true);
  }
});

describe('a bundle', () => {
  test('returns its entries, empty ones too', () => {
    const entries = ['one', '', 'x'.repeat(65_535)].map((text) => Buffer.from(text));
    expect(Buffer.concat(decodeBundle(encodeBundle(entries), 3)).equals(Buffer.concat(entries))).toBe(true);
  });

  test.each([
    ['cut in an entry', Buffer.from([0, 3, 1, 2])],
    ['cut in a length', Buffer.from([0, 1, 1, 0])],
    ['too short', Buffer.from([0, 0])],
    ['too long', Buffer.from([0, 0, 0, 0, 0, 0])],
  ])('that is %s is refused', (_, bytes) => {
    expect(() => decodeBundle(bytes, 2)).toThrow(expect.objectContaining({ reason: 'state_damaged' }) as Error);
  });

  test('with an entry of more than 65,535 bytes cannot be made', () => {
    expect(() => encodeBundle([Buffer.alloc(65_536)])).toThrow(RangeError);
  });
});

test('a tile of another length is refused', () => {
  expect(() => decodeTile(Buffer.alloc(33), 1)).toThrow(expect.objectContaining({ reason: 'state_damaged' }) as Error);
});
