import { expect, test } from 'vitest';
import { hasFastGroupMoves } from './fast-moves.ts';
import { parseMountInfo } from './mounts.ts';

const v1 = '1 2 0:1 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu';
const v2 = (options: string): string => `1 2 0:2 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 ${options}`;

test.each([
  ['rw,nsdelegate', false],
  ['rw,nsdelegate,favordynmods,memory_recursiveprot', true],
  ['rw', false],
])('with the mount options %s, a v2 tree has fast moves: %s', (options, expected) => {
  expect(hasFastGroupMoves(parseMountInfo(`${v1}\n${v2(options)}`))).toBe(expected);
});

test('without a v2 tree the result is undefined', () => {
  expect(hasFastGroupMoves(parseMountInfo(v1))).toBeUndefined();
});
