import { SoulBoxError } from '@soulbox/base';
import type { Cgroups } from './cgroups.ts';
import type { CgroupMounts } from './layout.ts';
import { readCgroupMounts } from './layout.ts';
import { createV1Cgroups } from './v1.ts';
import { createV2Cgroups } from './v2.ts';

/**
 * Throws `host_not_ready` if the host has no usable control groups, or has a hybrid layout that `prepareCgroups` has
 * not changed yet.
 */
export function openCgroups(mounts: CgroupMounts = readCgroupMounts()): Cgroups {
  if (mounts.layout === 'v2' && mounts.unified !== undefined) return createV2Cgroups(mounts.unified);
  // crun also puts the processes into the v2 tree, although it limits nothing there.
  if (mounts.layout === 'v1') {
    const beside = mounts.unified === undefined ? [] : ([['unified', mounts.unified]] as const);
    return createV1Cgroups(new Map([...mounts.v1, ...beside]));
  }
  throw new SoulBoxError(
    'host_not_ready',
    `The control groups of this host cannot be used (layout: ${mounts.layout}). Run \`soulbox doctor\`.`,
  );
}
