import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { Cgroups, CgroupUsage } from './cgroups.ts';
import { readFlatKeyed, readNumber } from './flat-keyed.ts';
import { killPids, listGroups, listPids, removeGroup, strikeUntilEmpty } from './tree.ts';

const nanosPerSecond = 1e9;
/** v1 writes "no limit" as the largest multiple of the page size in 63 bits. */
const unlimitedFrom = 2 ** 62;
const memoryKeys = ['total_rss', 'total_cache', 'total_swap', 'total_inactive_file'] as const;

/** One tree per controller (kernel: Documentation/admin-guide/cgroup-v1). `trees` gives each controller's mount point. */
export function createV1Cgroups(trees: ReadonlyMap<string, string>): Cgroups {
  const roots = [...new Set(trees.values())];
  const fileOf = (controller: string, group: string, file: string): string => {
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
    readUsage: (group) => readUsage(fileOf, group),
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

function readUsage(fileOf: (controller: string, group: string, file: string) => string, group: string): CgroupUsage {
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

async function writeIfThere(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: 'r+' });
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
  }
}
