import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join, sep } from 'node:path';
import { CommandError, sleep } from '@soulbox/base';
import type { MountEntry } from '../cgroup/mounts.ts';
import { readMounts } from '../cgroup/mounts.ts';
import type { SandboxSpec } from '../driver.ts';
import type { ToolOptions } from './host-tool.ts';
import { runHostTool } from './host-tool.ts';
import type { SandboxLayout } from './layout.ts';
import { diskFolders } from './layout.ts';
import { idCount } from './oci-config.ts';

/**
 * An id on the disk, outside the sandbox's range, that stands for the host's root. Without it overlayfs, which works with
 * the mounter's ids, could not make its work files and would mount read-only without an error.
 */
const hostRootOnDisk = 4_000_000;
const busyRetries = 8;

/**
 * Writes the table by which create.sh mounts disk, template and overlay in one run of mount(8), and their mount points.
 * The overlay's folders are relative, so that no host path shows in the sandbox's /proc/self/mountinfo.
 *
 * The mounts stand in the host's mount table only until crun has taken them into the sandbox's own mount namespace: then
 * no other namespace of the host can hold on to them, and they end with the sandbox by themselves.
 */
export async function writeMountTable(spec: SandboxSpec, layout: SandboxLayout, traceName: string): Promise<void> {
  const map = `b:0:${spec.idBase}:${idCount}`;
  const inDisk = (name: string): string => join(basename(layout.disk), name);
  const overlay = [
    `lowerdir=${basename(layout.lower)},upperdir=${inDisk(diskFolders.upper)},workdir=${inDisk(diskFolders.work)}`,
    // index and nfs_export give file handles that last, which inotify watches need across a checkpoint.
    'index=on,nfs_export=on,xino=off,metacopy=off,nodev,noatime',
  ].join(',');
  const lines = [
    [
      ...[layout.image, layout.disk, 'ext4'],
      `loop,noatime,discard,nosuid,nodev,X-mount.idmap="${map} b:${hostRootOnDisk}:0:1"`,
    ],
    // No nosuid here nor on the overlay: sudo must work.
    [spec.rootfs, layout.lower, 'none', `bind,ro,nodev,X-mount.idmap=${map}`],
    [traceName, layout.rootfs, 'overlay', overlay],
  ];
  const text = lines.map((fields) => [...fields.map(escapeField), '0 0\n'].join(' ')).join('');
  await Promise.all([
    ...[layout.disk, layout.lower].map((path) => mkdir(path)),
    writeFile(layout.mountTable, text, { mode: 0o600 }),
  ]);
}

/** fstab(5) wants white space in fields as octal digits. */
function escapeField(text: string): string {
  return text.replace(/[\s\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}

/** The mounts on or below any of the folders, in the order they were made. */
export function findMountsBelow(...folders: string[]): MountEntry[] {
  return readMounts().filter(({ mountPoint }) =>
    folders.some((folder) => `${mountPoint}${sep}`.startsWith(folder + sep)),
  );
}

/**
 * Takes away every mount of the sandbox from the host, latest first. What stays busy for 0.25 s is detached: it goes as
 * soon as its last user does.
 */
export async function unmountAll(directory: string, layout: SandboxLayout, tool: ToolOptions): Promise<void> {
  const find = (): MountEntry[] => findMountsBelow(directory, layout.rootfs);
  for (let attempt = 0; ; attempt++) {
    const points = find().map((entry) => entry.mountPoint);
    if (points.length === 0) break;
    const args = [...(attempt === busyRetries ? ['--lazy'] : []), '--', ...points.reverse()];
    try {
      await runHostTool('umount', args, tool);
    } catch (error) {
      if (!(error instanceof CommandError) || attempt > busyRetries) throw error;
      await sleep(2 ** attempt);
    }
  }
}
