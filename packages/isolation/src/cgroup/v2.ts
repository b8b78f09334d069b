import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import type { Cgroups, CgroupUsage } from './cgroups.ts';
import { readFlatKeyed, readNumber } from './flat-keyed.ts';
import { killPids, listGroups, listPids, removeGroup, strikeUntilEmpty } from './tree.ts';

const microsPerSecond = 1e6;

/** The unified tree (kernel: Documentation/admin-guide/cgroup-v2.rst). */
export function createV2Cgroups(root: string): Cgroups {
  return {
    version: 2,
    directoriesOf: (group) => [join(root, group)],
    readUsage: (group) => readUsage(join(root, group)),
    kill: async (group) => {
      const directory = join(root, group);
      await strikeUntilEmpty(
        () => listPids(directory),
        async (pids) => {
          // Reaches groups below and frozen processes. Kernels before 5.14 lack it: signals do, once thawed.
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

function readUsage(directory: string): CgroupUsage {
  const memory = readFlatKeyed(join(directory, 'memory.stat'), ['anon', 'file', 'inactive_file']);
  const usage = readNumber(join(directory, 'memory.current'));
  return {
    cpuUsedSeconds: readFlatKeyed(join(directory, 'cpu.stat'), ['usage_usec']).usage_usec / microsPerSecond,
    memoryRssBytes: memory.anon,
    memoryCacheBytes: memory.file,
    memorySwapBytes: readSwap(directory),
    memoryWorkingSetBytes: Math.max(0, usage - memory.inactive_file),
    memoryLimitBytes: readNumber(join(directory, 'memory.max')),
  };
}

/** Kernels without CONFIG_SWAP have no such file. */
function readSwap(directory: string): number {
  try {
    return readNumber(join(directory, 'memory.swap.current'));
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return 0;
    throw error;
  }
}

async function writeIfThere(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'r+' });
    return true;
  } catch (error) {
    if (isNodeError(error) && (error.code === 'ENOENT' || error.code === 'ENODEV')) return false;
    throw error;
  }
}
