import { expect, test } from 'vitest';
import { parseMetadata } from './metadata.ts';

test('keys are lower-cased and other headers left out', () => {
  expect(parseMetadata({ 'X-Metadata-Owner': 'Ann', 'x-metadata-n': '1', host: 'x' })).toEqual({
    owner: 'Ann',
    n: '1',
  });
});

test.each([
  [{ 'x-metadata-': 'x' }],
  [{ [`x-metadata-${'k'.repeat(247)}`]: 'x' }],
  [{ 'x-metadata-k': 'ä' }],
  [{ 'x-metadata-k': 'a\tb' }],
  [{ 'x-metadata-k': 'x'.repeat(4096) }],
])('what no attribute can hold is refused', (headers) => {
  expect(() => parseMetadata(headers)).toThrow(expect.objectContaining({ reason: 'bad_request' }) as Error);
});

test('the largest metadata is accepted', () => {
  expect(parseMetadata({ 'x-metadata-k': 'x'.repeat(4095) })['k']).toHaveLength(4095);
});
