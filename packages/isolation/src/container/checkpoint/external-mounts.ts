import { join } from 'node:path';
import { parseMountInfo } from '../../cgroup/mounts.ts';
import type { MountEntry } from '../../cgroup/mounts.ts';
import type { SandboxVolume } from '../../driver.ts';
import { diskFolders } from '../../root/layout.ts';
import { ownFiles } from '../../root/own-files.ts';
import { deviceNodes } from '../mounts.ts';

/** File systems that the kernel fills. CRIU restores them by itself; it gets the root separately. */
const filledByKernel = new Set(['proc', 'sysfs', 'devpts']);
const isRestoredByItself = ({ fileSystem, mountPoint }: MountEntry): boolean =>
  mountPoint === '/' || filledByKernel.has(fileSystem);

/**
 * The mounts of a sandbox that come from outside: a key by mount point, for `--external` of a dump. The saved memory
 * names these mounts by their keys, and a restore maps each key to a mount for the new sandbox (`sourcesOfMounts`).
 * Mount points are read from the kernel, because links in a template may have moved them; a sandbox cannot mount.
 */
export function keysOfMounts(mountInfo: string, diskDevice: string): ReadonlyMap<string, string> {
  const mounts = parseMountInfo(mountInfo).filter((mount) => !isRestoredByItself(mount));
  return new Map(mounts.map((mount) => [mount.mountPoint, keyOf(mount, diskDevice)]));
}

function keyOf({ device, root, fileSystem, source }: MountEntry, diskDevice: string): string {
  const [, volume] = (fileSystem === 'fuse' && /^volume-(\d+)$/.exec(source)) || [];
  if (volume !== undefined) return volumeKey(Number(volume));
  if (device === diskDevice) return `disk${root}`;
  return deviceNodes.includes(root.slice(1)) ? `dev${root}` : runtimeKey;
}

const runtimeKey = 'runtime';

/** The key of a volume by its number in the sandbox, see `SandboxVolume`. */
export const volumeKey = (index: number): string => `volume/${index}`;

/** Folders of a restore's own /run that the sandbox gets as mounts: read-only where it may not write. */
export const privateFolders = {
  etc: '/run/etc',
  empty: '/run/empty',
  run: '/run/own',
  runtime: '/run/runtime',
} as const;

/** Where a restore's own /run has a volume, with the ids of the sandbox. */
export const volumeFolder = (index: number): string => `/run/volumes/${index}`;

/** The source of each key in a restore of a sandbox with `volumes`. */
export function sourcesOfMounts(volumes: readonly SandboxVolume[]): ReadonlyMap<string, string> {
  return new Map([
    ...volumes.map(({ index }) => [volumeKey(index), volumeFolder(index)] as const),
    ...deviceNodes.map((name) => [`dev/${name}`, `/dev/${name}`] as const),
    ...Object.keys(ownFiles).map(
      (name) => [`disk/${diskFolders.etc}/${name}`, join(privateFolders.etc, name)] as const,
    ),
    [`disk/${diskFolders.empty}`, privateFolders.empty],
    [`disk/${diskFolders.run}`, privateFolders.run],
    [runtimeKey, privateFolders.runtime],
  ]);
}
