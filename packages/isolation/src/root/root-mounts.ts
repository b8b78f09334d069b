import { join } from 'node:path';
import type { MountAttribute } from '@soulbox/linux/mount-objects';
import type { MountFlag } from '@soulbox/linux/mounts';
import type { SandboxSpec } from '../driver.ts';
import { diskFolders } from './layout.ts';

/** One mount of a sandbox's root. A missing mount point is created. */
export type RootMount = ImageMount | BindMount | OverlayMount;

/** The ext4 in an image, with the ids of the sandbox. */
export interface ImageMount {
  readonly kind: 'disk' | 'layer';
  readonly image: string;
  readonly target: string;
}

/** A folder or file at a second path. */
export interface BindMount {
  readonly kind: 'bind';
  readonly source: string;
  readonly target: string;
  /** In addition to those of the mount with the source. */
  readonly attributes: readonly MountAttribute[];
  /** Shows the owners of files with the ids of the sandbox. */
  readonly isMapped?: boolean;
  /** The mount namespace whose `source` it is: the server's, or that of the new mounts. */
  readonly from: 'host' | 'namespace';
}

/** The folders in `options` are relative to `RootMountPoints.folder`. */
export interface OverlayMount {
  readonly kind: 'overlay';
  readonly name: string;
  readonly target: string;
  readonly options: string;
  readonly flags: readonly MountFlag[];
}

/** Mount points of the parts of a root. */
export interface RootMountPoints {
  /** Disk, template and layers are mounted in it. The overlay names them by paths that are relative to it. */
  readonly folder: string;
  readonly rootfs: string;
}

const names = { disk: 'disk', lower: 'lower', envdBundle: 'runtime-source' } as const;
const layerName = (index: number): string => `l${index}`;

/**
 * Disk, template, layers and their overlay. The overlay's folders are relative, so that no host path is visible in the
 * sandbox's /proc/self/mountinfo.
 */
export function rootMounts(
  spec: SandboxSpec,
  image: string,
  points: RootMountPoints,
  traceName: string,
): readonly RootMount[] {
  const at = (name: string): string => join(points.folder, name);
  return [
    { kind: 'disk', image, target: at(names.disk) },
    ...spec.layers.map((layer, index) => ({ kind: 'layer', image: layer, target: at(layerName(index)) }) as const),
    // No nosuid here nor on the overlay: sudo must work.
    {
      kind: 'bind',
      source: spec.rootfs,
      target: at(names.lower),
      attributes: ['readOnly', 'noDevices'],
      isMapped: true,
      from: 'host',
    },
    {
      kind: 'overlay',
      name: traceName,
      target: points.rootfs,
      options: overlayOptions(spec),
      flags: ['noDevices', 'noAccessTimes'],
    },
  ];
}

/**
 * The envd bundle as a file system of its own. A bind mount of the folder would show in /proc/self/mountinfo on which host
 * device and path the folder is. Comes after `rootMounts`, because an overlay of one folder needs a second folder beside
 * it.
 */
export function bundleMounts(spec: SandboxSpec, folder: string, target: string, traceName: string): RootMount[] {
  const lower = [names.envdBundle, join(names.disk, diskFolders.empty)].join(':');
  return [
    hostFolder(spec.envdBundle.directory, join(folder, names.envdBundle)),
    {
      kind: 'overlay',
      name: traceName,
      target,
      options: `lowerdir=${lower},xino=on,metacopy=off`,
      flags: ['readOnly', 'noSetuid', 'noDevices'],
    },
  ];
}

/** A folder or file of the host, read-only. */
export function hostFolder(
  source: string,
  target: string,
  attributes: readonly MountAttribute[] = ['readOnly'],
): BindMount {
  return { kind: 'bind', source, target, attributes, from: 'host' };
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
    'index=on,nfs_export=on,xino=on,metacopy=off',
  ].join(',');
}
