import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxSpec } from '../driver.ts';
import { idCount } from './id-map.ts';
import { diskFolders } from './layout.ts';

/**
 * An id on the disk, outside the sandbox's range, that stands for the host's root. Without it overlayfs, which works with
 * the mounter's ids, could not make its work files and would mount read-only without an error.
 */
const hostRootOnDisk = 4_000_000;

/** One mount, in the fields of fstab(5). */
export interface TableLine {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly options: string;
}

/** Where the parts of a root are mounted. */
export interface RootMountPoints {
  /** Disk, template and layers are mounted in it, and the table from here: the overlay names them by relative paths. */
  readonly folder: string;
  readonly rootfs: string;
}

const names = { disk: 'disk', lower: 'lower', runtime: 'runtime-source' } as const;
const layerName = (index: number): string => `l${index}`;

/**
 * Disk, template, layers and the overlay of them. The overlay's folders are relative, so that no host path shows in the
 * sandbox's /proc/self/mountinfo. Mount points are made when they are missing. A layer that several sandboxes use has one loop device: mount(8) finds it again.
 */
export function rootTable(
  spec: SandboxSpec,
  image: string,
  points: RootMountPoints,
  traceName: string,
): readonly TableLine[] {
  const map = `b:0:${spec.idBase}:${idCount}`;
  const at = (name: string): string => join(points.folder, name);
  // noinit_itable: the kernel would write 160 MB of empty inode tables in the first seconds, which an idle sandbox then seems
  // to do; each group's table is made when it is used.
  const disk = `loop,noatime,noinit_itable,discard,nosuid,nodev,X-mount.idmap="${map} b:${hostRootOnDisk}:0:1"`;
  return [
    { source: image, target: at(names.disk), type: 'ext4', options: disk },
    ...spec.layers.map((layer, index) => ({
      source: layer,
      target: at(layerName(index)),
      type: 'ext4',
      options: `loop,ro,noatime,nosuid,nodev,X-mount.idmap=${map}`,
    })),
    // No nosuid here nor on the overlay: sudo must work.
    { source: spec.rootfs, target: at(names.lower), type: 'none', options: `bind,ro,nodev,X-mount.idmap=${map}` },
    { source: traceName, target: points.rootfs, type: 'overlay', options: overlayOptions(spec) },
  ];
}

/**
 * The runtime as a file system of its own. A bind mount of the folder would tell /proc/self/mountinfo where on which device
 * of the host it stands. Comes after `rootTable`, for an overlay of one folder alone needs another beside it.
 */
export function runtimeTable(spec: SandboxSpec, folder: string, target: string, traceName: string): TableLine[] {
  const lower = [names.runtime, join(names.disk, diskFolders.empty)].join(':');
  return [
    { source: spec.runtime.directory, target: join(folder, names.runtime), type: 'none', options: 'bind,ro' },
    { source: traceName, target, type: 'overlay', options: `lowerdir=${lower},xino=on,metacopy=off,ro,nosuid,nodev` },
  ];
}

function overlayOptions(spec: SandboxSpec): string {
  const inDisk = (name: string): string => join(names.disk, name);
  const layers = spec.layers.map((_, index) => join(layerName(index), diskFolders.upper));
  return [
    `lowerdir=${[...layers, names.lower].join(':')}`,
    `upperdir=${inDisk(diskFolders.upper)},workdir=${inDisk(diskFolders.work)}`,
    // index and nfs_export give file handles that last, which inotify watches need across a checkpoint.
    // xino gives a file the same device number from stat(2) as from the kernel's list of Unix sockets: CRIU takes the name
    // of a socket for another file's otherwise, and does not bring it back.
    'index=on,nfs_export=on,xino=on,metacopy=off,nodev,noatime',
  ].join(',');
}

/** Writes a table that one run of mount(8) works through from top to bottom; it makes the mount points that are missing. */
export async function writeMountTable(path: string, lines: readonly TableLine[]): Promise<void> {
  const text = lines.map(({ source, target, type, options }) =>
    [...[source, target, type, `${options},X-mount.mkdir`].map(escapeField), '0 0\n'].join(' '),
  );
  await writeFile(path, text.join(''), { mode: 0o600 });
}

/** fstab(5) wants white space in fields as octal digits. */
function escapeField(text: string): string {
  return text.replace(/[\s\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
