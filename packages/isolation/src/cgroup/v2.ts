import { writeFileSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';
import type { CgroupLimits, Cgroups, CgroupUsage } from './cgroups.ts';
import { cpuTimeOf } from './cpu-time.ts';
import { readCounter, readFlatKeyed, readNumber } from './flat-keyed.ts';
import { freezeGroup, writeIfThere } from './freeze.ts';
import { neededControllers } from './layout.ts';
import { killPids, listGroups, listPids, removeGroup, strikeUntilEmpty } from './tree.ts';

const microsPerSecond = 1e6;

/** The unified tree (kernel: Documentation/admin-guide/cgroup-v2.rst). */
export function createV2Cgroups(root: string): Cgroups {
  return {
    version: 2,
    directoriesOf: (group) => [join(root, group)],
    create: (group, limits) => createV2Group(root, group, limits),
    limitTogether: async (parent, cpus) => {
      await makeGroup(join(root, parent));
      await writeFile(join(root, parent, 'cpu.max'), cpuMaxOf(cpus), { flag: 'r+' });
    },
    freezerOf: (group) => join(root, group),
    freeze: (group) => {
      const [control, events] = ['cgroup.freeze', 'cgroup.events'].map((file) => join(root, group, file));
      return freezeGroup(control ?? '', '1', '0', (state) => state.includes('frozen 1'), events);
    },
    beginFreeze: async (group) => {
      await writeFile(join(root, group, 'cgroup.freeze'), '1', { flag: 'r+' });
    },
    thaw: async (group) => {
      await writeIfThere(join(root, group, 'cgroup.freeze'), '0');
    },
    readUsage: (group, read) => readUsage(`${root}/${group}`, read),
    readCpuUsed: (group, read) => readCpuUsed(`${root}/${group}`, read),
    setMemoryLimit: (group, bytes) => setV2MemoryLimit(`${root}/${group}`, bytes),
    countOutOfMemory: (group) => readCounter(join(root, group, 'memory.events'), 'oom_kill'),
    kill: async (group) => {
      const directory = join(root, group);
      await strikeUntilEmpty(
        () => listPids(directory),
        async (pids) => {
          // Also reaches groups below and frozen processes. Kernels before 5.14 lack it; there, signals work after a
          // thaw.
          if (await writeIfThere(join(directory, 'cgroup.kill'), '1')) return;
          killPids(pids);
          await writeIfThere(join(directory, 'cgroup.freeze'), '0');
        },
      );
    },
    remove: (group) => removeGroup(join(root, group)),
    listChildren: (parent) => listGroups(join(root, parent)),
  };
}

function readUsage(directory: string, read: ReadText | undefined): CgroupUsage {
  const memory = readFlatKeyed(`${directory}/memory.stat`, ['anon', 'file', 'inactive_file'], read);
  const usage = readNumber(`${directory}/memory.current`, read);
  return {
    cpuUsedSeconds: readCpuUsed(directory, read),
    memoryRssBytes: memory.anon,
    memoryCacheBytes: memory.file,
    memorySwapBytes: readSwap(directory, read),
    memoryWorkingSetBytes: Math.max(0, usage - memory.inactive_file),
    memoryLimitBytes: readNumber(`${directory}/memory.max`, read),
  };
}

function readCpuUsed(directory: string, read: ReadText | undefined): number {
  return readFlatKeyed(`${directory}/cpu.stat`, ['usage_usec'], read).usage_usec / microsPerSecond;
}

/** A limit below what is in use would end processes of the group. */
function setV2MemoryLimit(directory: string, bytes: number): boolean {
  if (readUsage(directory, undefined).memoryWorkingSetBytes > bytes) return false;
  writeFileSync(`${directory}/memory.max`, String(bytes), { flag: 'r+' });
  return true;
}

function cpuMaxOf(cpus: number): string {
  const { period, quota } = cpuTimeOf(cpus);
  return `${quota === Infinity ? 'max' : quota} ${period}`;
}

/** Kernels without CONFIG_SWAP do not have this file. */
function readSwap(directory: string, read: ReadText | undefined): number {
  try {
    return readNumber(`${directory}/memory.swap.current`, read);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return 0;
    throw error;
  }
}

/** Creates a group and lets its parent enable the controllers: without that the group has no files for limits. */
async function makeGroup(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const controllers = neededControllers.v2.map((name) => `+${name}`).join(' ');
  await writeFile(join(dirname(directory), 'cgroup.subtree_control'), controllers, { flag: 'r+' });
}

/** Allows no swap in addition to memory, like the limits that crun gets. */
async function createV2Group(root: string, group: string, limits: CgroupLimits): Promise<void> {
  const directory = join(root, group);
  await makeGroup(directory);
  const set = (file: string, value: string): Promise<void> => writeFile(join(directory, file), value, { flag: 'r+' });
  await set('memory.max', String(limits.memoryBytes));
  await writeIfThere(join(directory, 'memory.swap.max'), '0');
  await set('cpu.max', cpuMaxOf(limits.cpus));
  await set('pids.max', String(limits.maxProcesses));
}
