import { expect, test } from 'vitest';
import { checkConditions, rangeAllowed } from './conditional.ts';

const modifiedMs = Date.parse('2026-01-02T03:04:05.678Z');
const same = 'Fri, 02 Jan 2026 03:04:05 GMT';
const earlier = 'Thu, 01 Jan 2026 00:00:00 GMT';

test.each([
  [{}, 'send'],
  [{ 'if-modified-since': same }, 'not_modified'],
  [{ 'if-modified-since': earlier }, 'send'],
  [{ 'if-modified-since': 'nonsense' }, 'send'],
  [{ 'if-unmodified-since': same }, 'send'],
  [{ 'if-unmodified-since': earlier }, 'precondition_failed'],
  [{ 'if-none-match': '*' }, 'not_modified'],
  [{ 'if-none-match': '"x"', 'if-modified-since': same }, 'send'],
  [{ 'if-match': '*' }, 'send'],
  [{ 'if-match': '"x"' }, 'precondition_failed'],
])('%j gets %s', (headers, condition) => {
  expect(checkConditions(headers, modifiedMs)).toBe(condition);
});

test('a range is only used if the file still has the date of If-Range', () => {
  expect(rangeAllowed({}, modifiedMs)).toBe(true);
  expect(rangeAllowed({ 'if-range': same }, modifiedMs)).toBe(true);
  expect(rangeAllowed({ 'if-range': earlier }, modifiedMs)).toBe(false);
  expect(rangeAllowed({ 'if-range': '"etag"' }, modifiedMs)).toBe(false);
});
