import { expect, test } from 'vitest';
import { resolvePath } from './resolve-path.ts';

const base = { home: '/home/user', workdir: '/code' };

test.each([
  ['', '/code'],
  ['~', '/home/user'],
  ['~/a/', '/home/user/a'],
  ['a/b', '/home/user/a/b'],
  ['./a', '/home/user/a'],
  ['/a//b/./c/..', '/a/b'],
  ['../../../../etc/passwd', '/etc/passwd'],
  ['~/../other', '/home/other'],
  ['a\nb', '/home/user/a\nb'],
])('%j means %j', (path, expected) => {
  expect(resolvePath(path, base)).toBe(expected);
});

test.each(['a\0b', '~root/x', 'x'.repeat(10_000)])('an invalid path is rejected', (path) => {
  expect(() => resolvePath(path, base)).toThrow(expect.objectContaining({ code: 'invalid_argument' }) as Error);
});
