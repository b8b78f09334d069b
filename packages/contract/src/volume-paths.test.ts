/** @module-tag violation */
import { expect, test } from 'vitest';
import { faultOfVolumePath, refuseVolumePaths } from './volume-paths.ts';

test.each(['/data', '/home/user/a b', '/etc/app', '/process', '/running/x', '/srv/…', `/${'a'.repeat(1023)}`])(
  'a volume may be at %j',
  (path) => {
    expect(faultOfVolumePath(path, [])).toBeUndefined();
  },
);

test.each([
  ...[
    '',
    'data',
    './data',
    '/',
    '//',
    '//data',
    '/data/',
    '/data//x',
    '/data/.',
    '/data/../x',
    '/..',
    '/a\0b',
    '/a\nb',
    '/a]:1',
  ],
  ...['/proc', '/proc/self', '/sys/fs', '/dev', '/dev/shm', '/run', '/run/soulbox', '/.soulbox', '/.soulbox/x'],
  ...['/etc', '/etc/hosts', '/etc/resolv.conf/x', `/${'a'.repeat(1024)}`, `/${'é'.repeat(512)}`, '/\ud800'],
])('no volume may be at %j', (path) => {
  expect(() => refuseVolumePaths([path])).toThrow(expect.objectContaining({ reason: 'volume_mount_failed' }));
});

test('volumes may be beside each other, but not in each other', () => {
  expect(() => refuseVolumePaths(['/data', '/data2', '/a/b', '/a/c'])).not.toThrow();
  for (const paths of [
    ['/data', '/data'],
    ['/data', '/data/x'],
    ['/a/b/c', '/x', '/a'],
  ])
    expect(() => refuseVolumePaths(paths)).toThrow('is at, above or below it');
  expect(() => refuseVolumePaths(['/data', '/proc'])).toThrow('a folder of the system');
});
