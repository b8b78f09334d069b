import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';
import type { CgroupLimits, Cgroups, CgroupUsage } from './cgroups.ts';
import { cpuTimeOf } from './cpu-time.ts';
import { readCounter, readFlatKeyed, readNumber } from './flat-keyed.ts';
import { freezeGroup, writeIfThere } from './freeze.ts';
import { killPids, listGroups, listPids, removeGroup, strikeUntilEmpty } from './tree.ts';

const nanosPerSecond = 1e9;
/** In v1, "no limit" is the largest multiple of the page size in 63 bits. */
const unlimitedFrom = 2 ** 62;
/** A v1 group accepts no process before it may use CPUs and memory nodes. */
const cpusetFiles = ['cpuset.cpus', 'cpuset.mems'] as const;
const memoryAndSwap = 'memory.memsw.limit_in_bytes';
const memoryKeys = ['total_rss', 'total_cache', 'total_swap', 'total_inactive_file'] as const;

type FileOf = (controller: string, group: string, file: string) => string;

/**
 * One tree per controller (kernel: Documentation/admin-guide/cgroup-v1). `trees` contains each controller's mount
 * point.
 */
export function createV1Cgroups(trees: ReadonlyMap<string, string>): Cgroups {
  const roots = [...new Set(trees.values())];
  const fileOf: FileOf = (controller, group, file) => {
    const root = trees.get(controller);
    if (root === undefined) throw new SoulBoxError('host_not_ready', `The cgroup controller ${controller} is missing.`);
    // Paths are built for each of a thousand reads a second, and `join` costs as much as a read.
    return `${root}/${group}/${file}`;
  };
  const pidsOf = async (group: string): Promise<number[]> => {
    const frozen = await listPids(fileOf('freezer', group, ''));
    if (frozen.length > 0) return frozen;
    // A process may be in only some of the trees if crun was killed while it placed the process.
    const lists = await Promise.all(roots.map((root) => listPids(join(root, group))));
    return [...new Set(lists.flat())];
  };

  return {
    version: 1,
    directoriesOf: (group) => roots.map((root) => join(root, group)),
    create: async (group, limits) => {
      await Promise.resolve().then(() => createV1Group(trees, fileOf, group, limits));
    },
    limitTogether: async (parent, cpus) => {
      await Promise.resolve().then(() => limitV1Groups(fileOf, parent, cpus));
    },
    freezerOf: (group) => fileOf('freezer', group, ''),
    freeze: (group) => freezeGroup(fileOf('freezer', group, 'freezer.state'), 'FROZEN', 'THAWED', isFrozen),
    beginFreeze: async (group) => {
      await writeFile(fileOf('freezer', group, 'freezer.state'), 'FROZEN', { flag: 'r+' });
    },
    thaw: async (group) => {
      await writeIfThere(fileOf('freezer', group, 'freezer.state'), 'THAWED');
    },
    readUsage: (group, read) => readUsage(fileOf, group, read),
    readCpuUsed: (group, read) => readCpuUsed(fileOf, group, read),
    setMemoryLimit: (group, bytes) => setV1MemoryLimit(fileOf, group, bytes),
    countOutOfMemory: (group) => readCounter(fileOf('memory', group, 'memory.oom_control'), 'oom_kill'),
    kill: async (group) => {
      const freezer = fileOf('freezer', group, 'freezer.state');
      await strikeUntilEmpty(
        () => pidsOf(group),
        async () => {
          // While the group is frozen, no process can fork between the listing and the signals; the signals act after
          // the thaw.
          await writeIfThere(freezer, 'FROZEN');
          killPids(await pidsOf(group));
          await writeIfThere(freezer, 'THAWED');
        },
      );
    },
    remove: async (group) => {
      await Promise.all(roots.map((root) => removeGroup(join(root, group))));
    },
    listChildren: async (parent) => {
      const lists = await Promise.all(roots.map((root) => listGroups(join(root, parent))));
      return [...new Set(lists.flat())];
    },
  };
}

function readUsage(fileOf: FileOf, group: string, read: ReadText | undefined): CgroupUsage {
  const memory = readFlatKeyed(fileOf('memory', group, 'memory.stat'), memoryKeys, read);
  const usage = readNumber(fileOf('memory', group, 'memory.usage_in_bytes'), read);
  const limit = readNumber(fileOf('memory', group, 'memory.limit_in_bytes'), read);
  return {
    cpuUsedSeconds: readCpuUsed(fileOf, group, read),
    memoryRssBytes: memory.total_rss,
    memoryCacheBytes: memory.total_cache,
    memorySwapBytes: memory.total_swap,
    memoryWorkingSetBytes: Math.max(0, usage - memory.total_inactive_file),
    memoryLimitBytes: limit >= unlimitedFrom ? Infinity : limit,
  };
}

function readCpuUsed(fileOf: FileOf, group: string, read: ReadText | undefined): number {
  return readNumber(fileOf('cpuacct', group, 'cpuacct.usage'), read) / nanosPerSecond;
}

/** The limit of memory and swap together is never below that of memory. A limit below what is in use is EBUSY. */
function setV1MemoryLimit(fileOf: FileOf, group: string, bytes: number): boolean {
  const files = [fileOf('memory', group, 'memory.limit_in_bytes')];
  const both = fileOf('memory', group, memoryAndSwap);
  if (existsSync(both)) files.push(both);
  if (bytes > readNumber(fileOf('memory', group, 'memory.limit_in_bytes'))) files.reverse();
  try {
    for (const file of files) writeFileSync(file, String(bytes), { flag: 'r+' });
    return true;
  } catch (error) {
    if (isNodeError(error) && error.code === 'EBUSY') return false;
    throw error;
  }
}

function isFrozen(state: string): boolean {
  return state.trim() === 'FROZEN';
}

/** Synchronous: some forty calls on pseudo files, which never block. A fork of many copies waits for each call. */
function createV1Group(trees: ReadonlyMap<string, string>, fileOf: FileOf, group: string, limits: CgroupLimits): void {
  for (const root of new Set(trees.values())) mkdirSync(join(root, group), { recursive: true });
  const set = (controller: string, file: string, value: number | string): void => {
    writeFileSync(fileOf(controller, group, file), String(value), { flag: 'r+' });
  };
  set('memory', 'memory.limit_in_bytes', limits.memoryBytes);
  // Does not exist if the kernel does not account for swap.
  if (existsSync(fileOf('memory', group, memoryAndSwap))) set('memory', memoryAndSwap, limits.memoryBytes);
  const { period, quota } = cpuTimeOf(limits.cpus);
  set('cpu', 'cpu.cfs_period_us', period);
  set('cpu', 'cpu.cfs_quota_us', quota);
  set('pids', 'pids.max', limits.maxProcesses);
  set('devices', 'devices.deny', 'a');
  for (const device of limits.devices) set('devices', 'devices.allow', device);
  const cpusets = trees.get('cpuset');
  if (cpusets !== undefined) fillCpusets(cpusets, group.split('/').filter(Boolean));
}

/**
 * v1 refuses a group a lower limit than that of a group below it. So when the limit gets lower, the groups below come
 * first.
 */
function limitV1Groups(fileOf: FileOf, parent: string, cpus: number): void {
  const { period, quota } = cpuTimeOf(cpus);
  const fileIn = (group: string, file: string): string => fileOf('cpu', group, file);
  const set = (group: string): void => {
    writeFileSync(fileIn(group, 'cpu.cfs_period_us'), String(period), { flag: 'r+' });
    writeFileSync(fileIn(group, 'cpu.cfs_quota_us'), String(quota), { flag: 'r+' });
  };
  mkdirSync(fileIn(parent, ''), { recursive: true });
  if (cpus === Infinity) {
    writeFileSync(fileIn(parent, 'cpu.cfs_quota_us'), '-1', { flag: 'r+' });
    return;
  }
  const below = readdirSync(fileIn(parent, ''), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of below) {
    const group = `${parent}/${name}`;
    const share = readNumber(fileIn(group, 'cpu.cfs_quota_us')) / readNumber(fileIn(group, 'cpu.cfs_period_us'));
    if (share < 0 || share > quota / period) set(group);
  }
  set(parent);
}

/** Copies values from parent to child, because the tree of `cpuset` leaves them empty in new groups. */
function fillCpusets(root: string, names: readonly string[]): void {
  let parent = root;
  for (const name of names) {
    for (const file of cpusetFiles) {
      const path = join(parent, name, file);
      if (readFileSync(path, 'latin1').trim() === '')
        writeFileSync(path, readFileSync(join(parent, file), 'latin1'), { flag: 'r+' });
    }
    parent = join(parent, name);
  }
}
