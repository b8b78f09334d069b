// The development host has only v1 controllers. These tests run the v2 code on files in the kernel's format.
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { delegateControllers } from './prepare.ts';
import { createV2Cgroups } from './v2.ts';

let root: string;
const files = {
  'cpu.stat': 'usage_usec 2500000\nuser_usec 2000000\nsystem_usec 500000\nnr_periods 7\n',
  'memory.stat': 'anon 1048576\nfile 4194304\nkernel 65536\ninactive_anon 8192\ninactive_file 3145728\nfile_mapped 1\n',
  'memory.current': '6291456\n',
  'memory.max': '536870912\n',
  'memory.swap.current': '4096\n',
  'cgroup.procs': '',
};

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'soulbox-cgroup-'));
  await mkdir(join(root, 'soulbox-0/i1'), { recursive: true });
  for (const [name, text] of Object.entries(files)) await writeFile(join(root, 'soulbox-0/i1', name), text);
});
afterEach(async () => {
  await rm(root, { recursive: true });
});

test('usage is read from the files of the unified tree', () => {
  expect(createV2Cgroups(root).readUsage('/soulbox-0/i1')).toEqual({
    cpuUsedSeconds: 2.5,
    memoryRssBytes: 1_048_576,
    memoryCacheBytes: 4_194_304,
    memorySwapBytes: 4_096,
    memoryWorkingSetBytes: 6_291_456 - 3_145_728,
    memoryLimitBytes: 536_870_912,
  });
});

test('the common limit of several groups is set on their parent', async () => {
  await writeFile(join(root, 'cgroup.subtree_control'), '');
  await writeFile(join(root, 'soulbox-0/cpu.max'), 'max 100000\n');
  await createV2Cgroups(root).limitTogether('/soulbox-0', 1.9);
  expect(await readFile(join(root, 'soulbox-0/cpu.max'), 'utf8')).toBe('38000 20000');
  // Otherwise the kernel would not show such a file.
  expect(await readFile(join(root, 'cgroup.subtree_control'), 'utf8')).toContain('+cpu');
  await createV2Cgroups(root).limitTogether('/soulbox-0', Infinity);
  expect(await readFile(join(root, 'soulbox-0/cpu.max'), 'utf8')).toMatch(/^max 20000/);
});

test('a working set never becomes negative, and no limit is infinite', async () => {
  await writeFile(join(root, 'soulbox-0/i1/memory.current'), '1000\n');
  await writeFile(join(root, 'soulbox-0/i1/memory.max'), 'max\n');
  const usage = createV2Cgroups(root).readUsage('/soulbox-0/i1');
  expect(usage).toMatchObject({ memoryWorkingSetBytes: 0, memoryLimitBytes: Infinity });
});

test('a kernel without swap accounting counts no swap', async () => {
  await rm(join(root, 'soulbox-0/i1/memory.swap.current'));
  expect(createV2Cgroups(root).readUsage('/soulbox-0/i1').memorySwapBytes).toBe(0);
});

test('reading a group that does not exist is an error; killing, listing or removing it is not', async () => {
  const cgroups = createV2Cgroups(root);
  expect(() => cgroups.readUsage('/soulbox-0/none')).toThrow('ENOENT');
  await cgroups.kill('/soulbox-0/none');
  await cgroups.remove('/soulbox-0/none');
  expect(await cgroups.listChildren('/soulbox-9')).toEqual([]);
  expect(await cgroups.listChildren('/soulbox-0')).toEqual(['i1']);
  expect(cgroups.directoriesOf('/soulbox-0/i1')).toEqual([join(root, 'soulbox-0/i1')]);
});

test('a kill uses cgroup.kill, which the kernel applies to the whole tree', async () => {
  const directory = join(root, 'soulbox-0/i1');
  await writeFile(join(directory, 'cgroup.kill'), '');
  // A pid that cannot exist: even if it were signaled, nothing would happen.
  await writeFile(join(directory, 'cgroup.procs'), '4194305\n');
  const killing = createV2Cgroups(root).kill('/soulbox-0/i1');
  while ((await readFile(join(directory, 'cgroup.kill'), 'utf8')) === '') continue;
  await writeFile(join(directory, 'cgroup.procs'), '');
  await killing;
  expect(await readFile(join(directory, 'cgroup.kill'), 'utf8')).toBe('1');
});

test('controllers are enabled for child groups once', async () => {
  const control = join(root, 'cgroup.subtree_control');
  await writeFile(control, '');
  await delegateControllers(root);
  expect(await readFile(control, 'utf8')).toBe('+cpu +memory +pids');
  await writeFile(control, 'cpu io memory pids\n');
  await delegateControllers(root);
  expect(await readFile(control, 'utf8')).toBe('cpu io memory pids\n');
});

const limits = {
  memoryBytes: 1024,
  cpus: 2,
  maxProcesses: 7,
  devices: ['c 1:3 rw'],
};
const limitFiles = ['memory.max', 'memory.swap.max', 'cpu.max', 'pids.max'];

test('a new group gets its limits, and its parent enables the controllers', async () => {
  await writeFile(join(root, 'soulbox-0/cgroup.subtree_control'), '');
  for (const name of limitFiles) await writeFile(join(root, 'soulbox-0/i1', name), '');
  await createV2Cgroups(root).create('/soulbox-0/i1', limits);
  const written = await Promise.all(limitFiles.map((name) => readFile(join(root, 'soulbox-0/i1', name), 'utf8')));
  expect(written).toEqual(['1024', '0', '40000 20000', '7']);
  expect(await readFile(join(root, 'soulbox-0/cgroup.subtree_control'), 'utf8')).toBe('+cpu +memory +pids');
});

test('a freeze waits until the kernel confirms it; a thaw does not', async () => {
  const [control, events] = ['cgroup.freeze', 'cgroup.events'].map((name) => join(root, 'soulbox-0/i1', name));
  await writeFile(control ?? '', '0');
  await writeFile(events ?? '', 'populated 1\nfrozen 0\n');
  const cgroups = createV2Cgroups(root);
  let frozen = false;
  const freezing = cgroups.freeze('/soulbox-0/i1').then(() => (frozen = true));
  await sleep(100);
  expect([frozen, await readFile(control ?? '', 'utf8')]).toEqual([false, '1']);
  await writeFile(events ?? '', 'populated 1\nfrozen 1\n');
  await freezing;
  await cgroups.thaw('/soulbox-0/i1');
  expect(await readFile(control ?? '', 'utf8')).toBe('0');
  await cgroups.thaw('/soulbox-0/never');
});

test('processes that do not freeze within 5 s are thawed', async () => {
  const control = join(root, 'soulbox-0/i1/cgroup.freeze');
  await writeFile(control, '0');
  await writeFile(join(root, 'soulbox-0/i1/cgroup.events'), 'populated 1\nfrozen 0\n');
  const freezing = createV2Cgroups(root).freeze('/soulbox-0/i1');
  await expect(freezing).rejects.toMatchObject({ reason: 'checkpoint_failed' });
  expect(await readFile(control, 'utf8')).toBe('0');
}, 10_000);
