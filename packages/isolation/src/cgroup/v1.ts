import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { CgroupLimits, Cgroups, CgroupUsage } from './cgroups.ts';
import { readCounter, readFlatKeyed, readNumber } from './flat-keyed.ts';
import { freezeGroup, writeIfThere } from './freeze.ts';
import { killPids, listGroups, listPids, removeGroup, strikeUntilEmpty } from './tree.ts';

const nanosPerSecond = 1e9;
/** v1 writes "no limit" as the largest multiple of the page size in 63 bits. */
const unlimitedFrom = 2 ** 62;
/** A v1 group takes no process before it may use CPUs and memory nodes. */
const cpusetFiles = ['cpuset.cpus', 'cpuset.mems'] as const;
const memoryKeys = ['total_rss', 'total_cache', 'total_swap', 'total_inactive_file'] as const;

type FileOf = (controller: string, group: string, file: string) => string;

/** One tree per controller (kernel: Documentation/admin-guide/cgroup-v1). `trees` gives each controller's mount point. */
export function createV1Cgroups(trees: ReadonlyMap<string, string>): Cgroups {
  const roots = [...new Set(trees.values())];
  const fileOf: FileOf = (controller, group, file) => {
    const root = trees.get(controller);
    if (root === undefined) throw new SoulBoxError('host_not_ready', `The cgroup controller ${controller} is missing.`);
    return join(root, group, file);
  };
  const pidsOf = async (group: string): Promise<number[]> => {
    const frozen = await listPids(fileOf('freezer', group, ''));
    if (frozen.length > 0) return frozen;
    // A process may be in some trees only: crun was killed while it placed it.
    const lists = await Promise.all(roots.map((root) => listPids(join(root, group))));
    return [...new Set(lists.flat())];
  };

  return {
    version: 1,
    directoriesOf: (group) => roots.map((root) => join(root, group)),
    create: (group, limits) => createV1Group(roots, fileOf, group, limits),
    freezerOf: (group) => fileOf('freezer', group, ''),
    freeze: (group) => freezeGroup(fileOf('freezer', group, 'freezer.state'), 'FROZEN', 'THAWED', isFrozen),
    thaw: async (group) => {
      await writeIfThere(fileOf('freezer', group, 'freezer.state'), 'THAWED');
    },
    readUsage: (group) => readUsage(fileOf, group),
    countOutOfMemory: (group) => readCounter(fileOf('memory', group, 'memory.oom_control'), 'oom_kill'),
    kill: async (group) => {
      const freezer = fileOf('freezer', group, 'freezer.state');
      await strikeUntilEmpty(
        () => pidsOf(group),
        async () => {
          // Frozen, nothing can fork away between the listing and the signals; they act once it is thawed.
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

function readUsage(fileOf: FileOf, group: string): CgroupUsage {
  const memory = readFlatKeyed(fileOf('memory', group, 'memory.stat'), memoryKeys);
  const usage = readNumber(fileOf('memory', group, 'memory.usage_in_bytes'));
  const limit = readNumber(fileOf('memory', group, 'memory.limit_in_bytes'));
  return {
    cpuUsedSeconds: readNumber(fileOf('cpuacct', group, 'cpuacct.usage')) / nanosPerSecond,
    memoryRssBytes: memory.total_rss,
    memoryCacheBytes: memory.total_cache,
    memorySwapBytes: memory.total_swap,
    memoryWorkingSetBytes: Math.max(0, usage - memory.total_inactive_file),
    memoryLimitBytes: limit >= unlimitedFrom ? Infinity : limit,
  };
}

function isFrozen(state: string): boolean {
  return state.trim() === 'FROZEN';
}

async function createV1Group(
  roots: readonly string[],
  fileOf: FileOf,
  group: string,
  limits: CgroupLimits,
): Promise<void> {
  await Promise.all(roots.map((root) => mkdir(join(root, group), { recursive: true })));
  const set = (controller: string, file: string, value: number | string): Promise<void> =>
    writeFile(fileOf(controller, group, file), String(value), { flag: 'r+' });
  await set('memory', 'memory.limit_in_bytes', limits.memoryBytes);
  // Not there when the kernel does not account for swap.
  await writeIfThere(fileOf('memory', group, 'memory.memsw.limit_in_bytes'), String(limits.memoryBytes));
  await set('cpu', 'cpu.cfs_period_us', limits.cpuPeriodMicros);
  await set('cpu', 'cpu.cfs_quota_us', limits.cpuQuotaMicros);
  await set('pids', 'pids.max', limits.maxProcesses);
  await set('devices', 'devices.deny', 'a');
  for (const device of limits.devices) await set('devices', 'devices.allow', device);
  await fillCpuset(roots, group);
}

/** Passes on from parent to child what the tree of `cpuset`, where there is one, leaves empty in new groups. */
async function fillCpuset(roots: readonly string[], group: string): Promise<void> {
  const names = group.split('/').filter(Boolean);
  for (const root of roots)
    for (let depth = 1; depth <= names.length; depth++)
      for (const file of cpusetFiles)
        await inherit(join(root, ...names.slice(0, depth - 1)), names[depth - 1] ?? '', file);
}

async function inherit(parent: string, child: string, file: string): Promise<void> {
  const path = join(parent, child, file);
  const own = await readFile(path, 'latin1').catch(() => undefined);
  if (own?.trim() === '') await writeFile(path, await readFile(join(parent, file), 'latin1'), { flag: 'r+' });
}
