import { expect, test } from 'vitest';
import { parseMountInfo } from './mounts.ts';

test('a mount is parsed into device, mount point, type, source and options', () => {
  const line = '96 49 0:40 / /srv/root rw,nodev,noatime master:3 - overlay soulbox-0-i1 rw,lowerdir=lower,index=on\n';
  expect(parseMountInfo(line)).toEqual([
    {
      device: '0:40',
      root: '/',
      mountPoint: '/srv/root',
      fileSystem: 'overlay',
      source: 'soulbox-0-i1',
      superOptions: ['rw', 'lowerdir=lower', 'index=on'],
    },
  ]);
});

test('octal escapes of spaces, tabs, newlines and backslashes are decoded', () => {
  const [mount] = parseMountInfo('1 2 8:1 / /a\\040b\\011c\\012d\\134e rw - ext4 /dev/a\\040b rw');
  expect(mount).toMatchObject({ mountPoint: '/a b\tc\nd\\e', source: '/dev/a b' });
});

test('a digit after an escape stays a digit', () => {
  expect(parseMountInfo('1 2 8:1 / /a\\0401 rw - ext4 x rw')[0]?.mountPoint).toBe('/a 1');
});

test.each(['', '\n', 'garbage', '1 2 8:1', '1 2 8:1 / /a rw', '- ext4', ' - ', '1 2 - ext4 x rw'])(
  'the line %j is skipped',
  (line) => {
    expect(parseMountInfo(line)).toEqual([]);
  },
);

test('super options may be missing', () => {
  expect(parseMountInfo('1 2 8:1 / /a rw - ext4 x')[0]?.superOptions).toEqual(['']);
});
