import { mkdir, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { SandboxSpec } from '../driver.ts';
import type { RootLayout } from './layout.ts';
import { diskFolders } from './layout.ts';
import { idCount } from './id-map.ts';

/**
 * An id on the disk, outside the sandbox's range, that stands for the host's root. Without it overlayfs, which works with
 * the mounter's ids, could not make its work files and would mount read-only without an error.
 */
const hostRootOnDisk = 4_000_000;

/**
 * Writes the table by which create.sh mounts disk, template and overlay in one run of mount(8), and their mount points.
 * The overlay's folders are relative, so that no host path shows in the sandbox's /proc/self/mountinfo.
 */
export async function writeMountTable(spec: SandboxSpec, layout: RootLayout, traceName: string): Promise<void> {
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
