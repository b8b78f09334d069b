import { expect, test } from 'vitest';
import { parseMetadata } from './metadata.ts';

test('keys are converted to lower case, and other headers are omitted', () => {
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
])('values that no attribute can store are rejected', (headers) => {
  expect(() => parseMetadata(headers)).toThrow(expect.objectContaining({ reason: 'bad_request' }) as Error);
});

test('the largest metadata is accepted', () => {
  expect(parseMetadata({ 'x-metadata-k': 'x'.repeat(4095) })['k']).toHaveLength(4095);
});
