import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MountEntry } from './mounts.ts';
import { readMounts } from './mounts.ts';

/**
 * How a host has its control groups.
 *
 * - `v2`: one unified tree with the controllers SoulBox needs.
 * - `v1`: one tree per controller; a v2 tree beside them carries no controller.
 * - `hybrid`: as v1, but the v2 tree carries controllers too. crun refuses it until `prepareCgroups` has run.
 * - `none`: no usable groups.
 */
export type CgroupLayout = 'v2' | 'v1' | 'hybrid' | 'none';

/** What a sandbox's limits need, by version. */
export const neededControllers = {
  v2: ['cpu', 'memory', 'pids'],
  v1: ['cpu', 'cpuacct', 'memory', 'pids', 'devices', 'freezer'],
} as const;

export interface CgroupMounts {
  readonly layout: CgroupLayout;
  /** Mount point of the v2 tree, where there is one. */
  readonly unified: string | undefined;
  /** Controllers the v2 tree offers. */
  readonly unifiedControllers: readonly string[];
  /** Mount point by v1 controller; `name=systemd` counts as one. */
  readonly v1: ReadonlyMap<string, string>;
}

/** Every v1 tree names its controllers among its options, beside these. */
const mountFlags = new Set(['rw', 'ro', 'noprefix', 'xattr', 'clone_children', 'cpuset_v2_mode']);

/** Looks at the mounts and at `cgroup.controllers`; changes nothing. */
export function readCgroupMounts(mounts: readonly MountEntry[] = readMounts()): CgroupMounts {
  const v1 = new Map<string, string>();
  for (const mount of mounts.filter((entry) => entry.fileSystem === 'cgroup'))
    for (const option of mount.superOptions)
      if (!mountFlags.has(option) && !option.startsWith('release_agent=') && !v1.has(option))
        v1.set(option, mount.mountPoint);
  const unified = mounts.find((entry) => entry.fileSystem === 'cgroup2')?.mountPoint;
  const unifiedControllers = unified === undefined ? [] : readWords(join(unified, 'cgroup.controllers'));
  return { layout: decideLayout(v1, unifiedControllers), unified, unifiedControllers, v1 };
}

export async function detectCgroupLayout(): Promise<CgroupLayout> {
  return await Promise.resolve(readCgroupMounts().layout);
}

function decideLayout(v1: ReadonlyMap<string, string>, unifiedControllers: readonly string[]): CgroupLayout {
  const hasV1 = neededControllers.v1.every((name) => v1.has(name));
  const hasV2 = neededControllers.v2.every((name) => unifiedControllers.includes(name));
  if (hasV2) return 'v2';
  if (!hasV1) return 'none';
  return unifiedControllers.length > 0 ? 'hybrid' : 'v1';
}

function readWords(path: string): string[] {
  try {
    return readFileSync(path, 'utf8').split(/\s+/).filter(Boolean);
  } catch {
    return [];
  }
}
