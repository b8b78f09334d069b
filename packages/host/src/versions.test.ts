import { expect, test } from 'vitest';
import { compareVersions, findVersion, isAtLeast } from './versions.ts';

test.each([
  ['crun version 1.21\ncommit: x', [1, 21]],
  ['mount from util-linux 2.41.5 (libmount 2.41.5: selinux)', [2, 41, 5]],
  ['6.18.44-fc-v595', [6, 18, 44]],
  ['v24.21.0', [24, 21, 0]],
  ['no version here 7', undefined],
  ['', undefined],
])('the version in %j is found', (text, version) => {
  expect(findVersion(text)).toEqual(version);
});

test('versions are compared number by number, and missing parts count as 0', () => {
  expect(compareVersions([1, 9], [1, 10])).toBeLessThan(0);
  expect(compareVersions([1, 10], [1, 9, 9])).toBeGreaterThan(0);
  expect(compareVersions([2], [2, 0, 0])).toBe(0);
  expect(isAtLeast([6, 16], [6, 16])).toBe(true);
  expect(isAtLeast([5, 18, 99], [5, 19])).toBe(false);
});
