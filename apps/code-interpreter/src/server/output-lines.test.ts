import { expect, test } from 'vitest';
import { linesOf } from './output-lines.ts';

const now = new Date(0);

test('long text is sent in several lines and no character is cut in two', () => {
  const text = `${'a'.repeat(64 * 1024 - 1)}🚀b`;
  const timestamp = '1970-01-01T00:00:00.000Z';
  expect(linesOf({ type: 'stdout', text }, now)).toEqual([
    { type: 'stdout', text: 'a'.repeat(64 * 1024 - 1), timestamp },
    { type: 'stdout', text: '🚀b', timestamp },
  ]);
});

test('the start of an execution and an empty text have no line', () => {
  expect(linesOf({ type: 'started', executionCount: 1 }, now)).toEqual([]);
  expect(linesOf({ type: 'stderr', text: '' }, now)).toEqual([]);
});
