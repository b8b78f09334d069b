import { join } from 'node:path';
import type { SandboxSpec } from '../driver.ts';
import type { SandboxLayout } from './layout.ts';
import { diskFolders } from '../root/layout.ts';
import { ownFiles } from '../root/own-files.ts';
import type { OciMount } from '../oci/mounts.ts';
import { bind, ownMounts } from '../oci/mounts.ts';

/** Listed explicitly: nodes that crun binds by itself cannot be checkpointed (CRIU 4.2). */
export const deviceNodes = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

/**
 * Host folders with kernel settings, firmware tables and disk statistics, hidden by an empty folder; those that the
 * host does not have are skipped. `hardwareFolders` finds those of its real disks.
 */
export const hiddenFolders = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/fs',
  '/proc/scsi',
  '/sys/firmware',
  '/sys/devices/virtual/powercap',
  '/sys/devices/virtual/block',
  '/sys/devices/virtual/dmi',
  '/sys/kernel/debug',
  '/sys/kernel/security',
  '/sys/kernel/tracing',
  '/sys/fs',
];

/** Files only: a masked folder would become a tmpfs, and each tmpfs costs a checkpoint 2.5 ms. */
export const maskedFiles = [
  '/proc/bootconfig',
  '/proc/cmdline',
  '/proc/config.gz',
  '/proc/diskstats',
  '/proc/interrupts',
  '/proc/kallsyms',
  '/proc/kcore',
  '/proc/key-users',
  '/proc/keys',
  '/proc/kmsg',
  '/proc/kpagecount',
  '/proc/kpageflags',
  '/proc/latency_stats',
  '/proc/mdstat',
  '/proc/partitions',
  '/proc/sched_debug',
  '/proc/swaps',
  '/proc/timer_list',
  '/proc/timer_stats',
];

/**
 * Contains the boot id too: crun makes /proc/sys read-only through a second mount, below which that file would be
 * writable.
 */
export const readOnlyPaths = ['/proc/bus', '/proc/irq', '/proc/sys', ownFiles['boot-id'], '/proc/sysrq-trigger'];

/**
 * In mount order. Everything comes from the sandbox's disk or from an overlay of its own, so no host path is visible in
 * /proc/self/mountinfo.
 */
export function containerMounts(
  spec: SandboxSpec,
  layout: SandboxLayout,
  hidden: readonly string[],
): readonly OciMount[] {
  const empty = join(layout.disk, diskFolders.empty);
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', 'ro'] },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    // The nodes are those of the host. Read-only does not stop reads and writes of a device, only changes of the node.
    ...deviceNodes.map((name) => bind(`/dev/${name}`, `/dev/${name}`, 'ro', 'nosuid', 'noexec')),
    ...ownMounts(spec, layout),
    ...hidden.map((folder) => bind(empty, folder, 'ro', 'nosuid', 'nodev', 'noexec')),
  ];
}
