import { afterEach, expect, test, vi } from 'vitest';
import { parseRetryAfter } from './retry-after.ts';

afterEach(() => void vi.useRealTimers());

test.each([
  ['0', 0],
  [' 7 ', 7000],
  ['9999999999', 86_400_000],
  ['Sun, 06 Nov 2033 08:49:37 GMT', 37_000],
  ['Sun Nov  6 08:49:37 2033 GMT', 37_000],
  ['Sun, 06 Nov 2022 08:49:37 GMT', 0],
  ['Mon, 06 Nov 9999 08:49:37 GMT', 86_400_000],
  ['-5', undefined],
  ['1.5', undefined],
  ['99999999999', undefined],
  ['soon', undefined],
  ['', undefined],
  ['Sun, 99 Nov 2033 08:49:37 GMT', undefined],
  [undefined, undefined],
  [null, undefined],
] as const)('%j is %j ms', (value, ms) => {
  vi.useFakeTimers({ now: Date.UTC(2033, 10, 6, 8, 49, 0) });
  expect(parseRetryAfter(value)).toBe(ms);
});
