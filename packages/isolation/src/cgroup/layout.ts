import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { MountEntry } from './mounts.ts';
import { readMounts } from './mounts.ts';

/**
 * The control group layout of a host.
 *
 * - `v2`: one unified tree with the controllers that SoulBox needs.
 * - `v1`: one tree per controller; a v2 tree may exist but has no controllers.
 * - `hybrid`: like v1, but the v2 tree also has controllers. crun refuses it until `prepareCgroups` has run.
 * - `none`: no usable groups.
 */
export type CgroupLayout = 'v2' | 'v1' | 'hybrid' | 'none';

/** The controllers that a sandbox's limits need, by version. */
export const neededControllers = {
  v2: ['cpu', 'memory', 'pids'],
  v1: ['cpu', 'cpuacct', 'memory', 'pids', 'devices', 'freezer'],
} as const;

export interface CgroupMounts {
  readonly layout: CgroupLayout;
  /** Mount point of the v2 tree, if there is one. */
  readonly unified: string | undefined;
  /** Controllers of the v2 tree. */
  readonly unifiedControllers: readonly string[];
  /** Mount points of v1 trees by controller; `name=systemd` counts as one. */
  readonly v1: ReadonlyMap<string, string>;
}

/** Every v1 tree lists its controllers among its mount options, together with these. */
const mountFlags = new Set(['rw', 'ro', 'noprefix', 'xattr', 'clone_children', 'cpuset_v2_mode']);

/** Reads the mounts and `cgroup.controllers`; changes nothing. */
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
