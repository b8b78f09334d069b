// Uses the real control groups of the host, if it has v1 trees.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { randomId } from '@soulbox/base';
import { readCgroupMounts } from './layout.ts';
import { createV1Cgroups } from './v1.ts';

const { layout, v1: allTrees } = readCgroupMounts();
// A new cpuset accepts no process before it has CPUs; crun takes care of that.
const v1 = new Map([...allTrees].filter(([name]) => name !== 'cpuset'));
const usable = layout === 'v1' || layout === 'hybrid';
if (!usable) process.stdout.write(`skipped: this host has no v1 control groups (layout ${layout})\n`);

describe.skipIf(!usable)('v1 control groups', () => {
  const cgroups = createV1Cgroups(v1);
  let group: string;
  beforeEach(async () => {
    group = `/soulbox-test-${randomId(8)}`;
    for (const directory of cgroups.directoriesOf(group)) await mkdir(directory);
  });
  afterEach(async () => {
    await cgroups.kill(group);
    await cgroups.remove(group);
  });

  /** The script starts after its shell has joined the group, so that none of its children is outside. */
  const startInside = async (script: string): Promise<number> => {
    const child = spawn('sh', ['-c', `read go; ${script}`], { stdio: ['pipe', 'ignore', 'ignore'] });
    const pid = child.pid ?? 0;
    for (const directory of cgroups.directoriesOf(group)) await writeFile(join(directory, 'cgroup.procs'), String(pid));
    child.stdin.end('go\n');
    return pid;
  };

  test('usage counts the resources that a process used', async () => {
    await startInside('i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; sleep 60');
    await sleep(700);
    const usage = cgroups.readUsage(group);
    expect(usage.cpuUsedSeconds).toBeGreaterThan(0.02);
    expect(usage.memoryLimitBytes).toBe(Infinity);
    expect(usage.memoryRssBytes).toBeGreaterThanOrEqual(0);
  });

  test('a new group has all its limits before it contains a process', async () => {
    const own = `${group}/own`;
    const devices = ['c 1:3 rw', 'c 136:* rw'];
    const memoryBytes = 64 * 1024 * 1024;
    await cgroups.create(own, { memoryBytes, cpus: 1.5, maxProcesses: 7, devices });
    const read = async (controller: string, file: string): Promise<string> =>
      (await readFile(join(v1.get(controller) ?? '', own, file), 'latin1')).trim();
    expect(await read('memory', 'memory.limit_in_bytes')).toBe(String(memoryBytes));
    expect(await read('cpu', 'cpu.cfs_period_us')).toBe('20000');
    expect(await read('cpu', 'cpu.cfs_quota_us')).toBe('30000');
    expect(await read('pids', 'pids.max')).toBe('7');
    expect(await read('devices', 'devices.list')).toBe(devices.join('\n'));
    const memoryAndSwap = 'memory.memsw.limit_in_bytes';
    // A kernel without swap accounting has no such file.
    if (existsSync(join(v1.get('memory') ?? '', own, memoryAndSwap)))
      expect(await read('memory', memoryAndSwap)).toBe(String(memoryBytes));
  });

  test('groups together use no more than their parent may, including groups that had a larger limit before', async () => {
    const busy = `${group}/busy`;
    for (const directory of cgroups.directoriesOf(busy)) await mkdir(directory);
    const cpuFile = (of: string, name: string): string => join(v1.get('cpu') ?? '', of, name);
    await writeFile(cpuFile(busy, 'cpu.cfs_period_us'), '20000');
    await writeFile(cpuFile(busy, 'cpu.cfs_quota_us'), '40000');
    await cgroups.limitTogether(group, 0.3);
    expect(await readFile(cpuFile(busy, 'cpu.cfs_quota_us'), 'latin1')).toBe('6000\n');

    const loops = spawn('sh', ['-c', 'read go; while :; do :; done & while :; do :; done'], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    for (const directory of cgroups.directoriesOf(busy))
      await writeFile(join(directory, 'cgroup.procs'), String(loops.pid));
    loops.stdin.end('go\n');
    await sleep(300);
    const used = (): number => cgroups.readUsage(group).cpuUsedSeconds;
    const [before, startedAt] = [used(), performance.now()];
    await sleep(1000);
    const cpus = ((used() - before) * 1000) / (performance.now() - startedAt);
    expect(cpus).toBeGreaterThan(0.05);
    expect(cpus).toBeLessThan(0.45);

    await cgroups.limitTogether(group, Infinity);
    expect(await readFile(cpuFile(group, 'cpu.cfs_quota_us'), 'latin1')).toBe('-1\n');
  });

  test('a kill ends all processes, including those in a frozen group and in one below', async () => {
    const pid = await startInside('sleep 600 & sleep 600 & wait');
    await sleep(50);
    const below = `${group}/below`;
    for (const directory of cgroups.directoriesOf(below)) await mkdir(directory);
    await writeFile(join(v1.get('freezer') ?? '', below, 'cgroup.procs'), String(pid));
    await writeFile(join(v1.get('freezer') ?? '', group, 'freezer.state'), 'FROZEN');
    await cgroups.kill(group);
    expect(await readFile(join(v1.get('freezer') ?? '', group, 'cgroup.procs'), 'latin1')).toBe('');
    await cgroups.remove(group);
    expect(await cgroups.listChildren('/')).not.toContain(group.slice(1));
  });

  test('a process that is in only one tree is also found', async () => {
    const child = spawn('sleep', ['600'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('close', (_, signal) => resolve(signal)));
    await writeFile(join(v1.get('pids') ?? '', group, 'cgroup.procs'), String(child.pid));
    await cgroups.kill(group);
    expect(await ended).toBe('SIGKILL');
  });

  test('reading a group that does not exist is an error; killing or removing it is not', async () => {
    expect(() => cgroups.readUsage('/soulbox-none')).toThrow('ENOENT');
    await cgroups.kill('/soulbox-none');
    await cgroups.remove('/soulbox-none');
    expect(await cgroups.listChildren('/soulbox-none')).toEqual([]);
  });
});
