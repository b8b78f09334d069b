import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { SandboxSpec } from '../driver.ts';
import { idCount } from './id-map.ts';
import { diskFolders } from './layout.ts';

/**
 * An id on the disk, outside the sandbox's range, that stands for the host's root. Overlayfs uses the ids of the
 * mounting process. Without this id it could not create its work files and would mount read-only without an error.
 */
const hostRootOnDisk = 4_000_000;

/** One mount, in the fields of fstab(5). */
export interface TableLine {
  readonly source: string;
  readonly target: string;
  readonly type: string;
  readonly options: string;
}

/** Mount points of the parts of a root. */
export interface RootMountPoints {
  /**
   * Disk, template and layers are mounted in it, and mount(8) runs the table from here: the overlay names them by
   * relative paths.
   */
  readonly folder: string;
  readonly rootfs: string;
}

const names = { disk: 'disk', lower: 'lower', envdBundle: 'runtime-source' } as const;
const layerName = (index: number): string => `l${index}`;

/**
 * Disk, template, layers and their overlay. The overlay's folders are relative, so that no host path is visible in the
 * sandbox's /proc/self/mountinfo. Missing mount points are created. A layer that several sandboxes use has one loop
 * device: mount(8) finds it again.
 */
export function rootTable(
  spec: SandboxSpec,
  image: string,
  points: RootMountPoints,
  traceName: string,
): readonly TableLine[] {
  const map = `b:0:${spec.idBase}:${idCount}`;
  const at = (name: string): string => join(points.folder, name);
  // noinit_itable: otherwise the kernel would write 160 MB of empty inode tables in the first seconds, which would look
  // like writes of an idle sandbox. Each group's table is initialized when it is used.
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
 * The envd bundle as a file system of its own. A bind mount of the folder would show in /proc/self/mountinfo on which host
 * device and path the folder is. Comes after `rootTable`, because an overlay of one folder needs a second folder beside
 * it.
 */
export function bundleTable(spec: SandboxSpec, folder: string, target: string, traceName: string): TableLine[] {
  const lower = [names.envdBundle, join(names.disk, diskFolders.empty)].join(':');
  return [
    { source: spec.envdBundle.directory, target: join(folder, names.envdBundle), type: 'none', options: 'bind,ro' },
    { source: traceName, target, type: 'overlay', options: `lowerdir=${lower},xino=on,metacopy=off,ro,nosuid,nodev` },
  ];
}

function overlayOptions(spec: SandboxSpec): string {
  const inDisk = (name: string): string => join(names.disk, name);
  const layers = spec.layers.map((_, index) => join(layerName(index), diskFolders.upper));
  return [
    `lowerdir=${[...layers, names.lower].join(':')}`,
    `upperdir=${inDisk(diskFolders.upper)},workdir=${inDisk(diskFolders.work)}`,
    // index and nfs_export provide persistent file handles, which inotify watches need across a checkpoint. xino makes
    // stat(2) report the same device number of a file as the kernel's list of Unix sockets. Otherwise CRIU takes the
    // name of a socket for another file's and does not restore it.
    'index=on,nfs_export=on,xino=on,metacopy=off,nodev,noatime',
  ].join(',');
}

/** Writes a table that one run of mount(8) processes from top to bottom; mount(8) creates the missing mount points. */
export async function writeMountTable(path: string, lines: readonly TableLine[]): Promise<void> {
  const text = lines.map(({ source, target, type, options }) =>
    [...[source, target, type, `${options},X-mount.mkdir`].map(escapeField), '0 0\n'].join(' '),
  );
  await writeFile(path, text.join(''), { mode: 0o600 });
}

/** fstab(5) requires octal digits for white space in fields. */
function escapeField(text: string): string {
  return text.replace(/[\s\\]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`);
}
