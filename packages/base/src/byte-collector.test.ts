import { expect, test } from 'vitest';
import { createByteCollector } from './byte-collector.ts';

test('pieces are joined, and the limit is exact to the byte', () => {
  const collector = createByteCollector(10);
  expect(collector.bytes()).toHaveLength(0);
  for (const piece of ['abc', '', 'defg', 'hij']) expect(collector.add(Buffer.from(piece))).toBe(true);
  expect(collector.add(Buffer.from('k'))).toBe(false);
  expect(collector.bytes().toString()).toBe('abcdefghij');
  expect(collector.size).toBe(10);
});

test('single bytes cost little memory, and too many of them are rejected', () => {
  const collector = createByteCollector(2_000_000);
  let taken = 0;
  while (collector.add(Buffer.from([taken % 256]))) taken += 1;
  expect(taken).toBe(65_536);
  expect(collector.bytes()[65_535]).toBe(65_535 % 256);
  expect(collector.bytes().buffer.byteLength).toBeLessThanOrEqual(131_072);
});
