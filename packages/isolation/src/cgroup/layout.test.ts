import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { readCgroupMounts } from './layout.ts';
import { parseMountInfo } from './mounts.ts';

let unified: string;
beforeEach(async () => {
  unified = await mkdtemp(join(tmpdir(), 'soulbox-cgroup-'));
});
afterEach(async () => {
  await rm(unified, { recursive: true });
});

const v1Lines = ['cpu', 'cpuacct', 'memory', 'pids', 'devices', 'freezer', 'name=systemd'].map(
  (name) => `1 2 0:1 / /sys/fs/cgroup/${name} rw - cgroup cgroup rw,xattr,release_agent=/x,${name}`,
);
const unifiedLine = (): string => `1 2 0:2 / ${unified} rw - cgroup2 cgroup2 rw,nsdelegate`;
const layoutOf = (...lines: string[]) => readCgroupMounts(parseMountInfo(lines.join('\n')));

test('a unified tree with the needed controllers is v2', async () => {
  await writeFile(join(unified, 'cgroup.controllers'), 'cpuset cpu io memory hugetlb pids rdma misc\n');
  const mounts = layoutOf(unifiedLine());
  expect(mounts).toMatchObject({ layout: 'v2', unified });
  expect(mounts.unifiedControllers).toContain('memory');
});

test('v1 trees alone, or beside an empty unified tree, are v1', async () => {
  expect(layoutOf(...v1Lines).layout).toBe('v1');
  await writeFile(join(unified, 'cgroup.controllers'), '\n');
  expect(layoutOf(...v1Lines, unifiedLine()).layout).toBe('v1');
});

test('v1 trees beside a unified tree with any controller are hybrid', async () => {
  await writeFile(join(unified, 'cgroup.controllers'), 'hugetlb\n');
  expect(layoutOf(...v1Lines, unifiedLine())).toMatchObject({ layout: 'hybrid', unifiedControllers: ['hugetlb'] });
});

test('controllers that share a tree are found under both names', () => {
  const shared = '1 2 0:1 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct';
  const mounts = layoutOf(shared, ...v1Lines.slice(2));
  expect(mounts.layout).toBe('v1');
  expect(mounts.v1.get('cpu')).toBe('/sys/fs/cgroup/cpu,cpuacct');
  expect(mounts.v1.get('cpuacct')).toBe('/sys/fs/cgroup/cpu,cpuacct');
});

test('without a needed controller or any tree there is no usable layout', async () => {
  expect(layoutOf().layout).toBe('none');
  expect(layoutOf(...v1Lines.filter((line) => !line.includes('pids'))).layout).toBe('none');
  await writeFile(join(unified, 'cgroup.controllers'), 'cpu pids\n');
  expect(layoutOf(unifiedLine()).layout).toBe('none');
});

test('a unified tree whose controllers cannot be read counts as empty', () => {
  expect(layoutOf(...v1Lines, unifiedLine()).layout).toBe('v1');
});
