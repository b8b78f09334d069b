import { mkdir } from 'node:fs/promises';
import { join, posix } from 'node:path';
import { SoulBoxError } from '@soulbox/base';
import type { MountEntry } from '../../cgroup/mounts.ts';
import { parseMountInfo } from '../../cgroup/mounts.ts';
import type { SandboxVolume } from '../../driver.ts';
import type { OciMount } from '../../oci/mounts.ts';
import type { SandboxLayout } from '../layout.ts';

// gVisor takes new mounts only at its start, but it sees what the host mounts below one of them. So each sandbox has two
// folders with empty places from the start (docs/decisions/067).

/** launch.sh makes them: the source of their file system, the folders in it, and the numbers of the places. */
const placesSource = 'soulbox-places';
const folders = ['volumes', 'buckets'] as const;
const placeCount = 16;
type Folder = (typeof folders)[number];

/**
 * gVisor keeps a file open when its programs have closed it, and has it open once for all of them. A bucket is written
 * when a file is closed, so there each file that a program opens is one that the host has open (gVisor:
 * pkg/sentry/fsimpl/gofer, regularFilesUseSpecialFileFD). gVisor cannot save such files while they are in memory (mmap).
 */
const options: Record<Folder, readonly string[]> = {
  volumes: [],
  buckets: ['disable_file_handle_sharing'],
};

/** The path in the sandbox. */
const inside = (folder: Folder): string => `/run/soulbox-${folder}`;

/** `rbind`: a restore has volumes in them already. Whether one can be written is a matter of its own mount. */
export function placesMounts({ places }: Pick<SandboxLayout, 'places'>): readonly OciMount[] {
  return folders.map((folder) => ({
    destination: inside(folder),
    type: 'bind',
    source: join(places, folder),
    options: ['rbind', 'rw', 'nosuid', 'nodev', ...options[folder]],
  }));
}

const folderOf = ({ writesAtClose }: SandboxVolume): Folder => (writesAtClose === true ? 'buckets' : 'volumes');

/** The path of its place below one that has both folders. */
export function placeOf(volume: SandboxVolume): string {
  return posix.join(folderOf(volume), String(volume.index));
}

/** Where the sandbox has it, besides its path. */
export function placeInside(volume: SandboxVolume): string {
  return posix.join(inside(folderOf(volume)), String(volume.index));
}

/** Throws `volume_mount_failed` for more volumes than there are places. */
export function refuseOutside(volumes: readonly SandboxVolume[]): void {
  if (volumes.every(({ index }) => index < placeCount)) return;
  throw new SoulBoxError('volume_mount_failed', `A sandbox of this isolation has at most ${placeCount} volumes.`);
}

/** The mount with the place of a volume, among those of the process that opens files for the sandbox. */
export function getPlaces(mountInfo: string, volume: SandboxVolume): MountEntry {
  const root = `/${folderOf(volume)}`;
  const found = parseMountInfo(mountInfo).find(
    (mount) => mount.fileSystem === 'tmpfs' && mount.source === placesSource && mount.root === root,
  );
  if (found !== undefined) return found;
  throw new SoulBoxError(
    'volume_mount_failed',
    'No volume can be mounted: an earlier version of the server started the sandbox.',
  );
}

/** Where launch.sh finds a volume before runsc starts. Only the namespace of the script has it there. */
export function arrivalOf(layout: Pick<SandboxLayout, 'arrivals'>, { index }: SandboxVolume): string {
  return join(layout.arrivals, String(index));
}

export async function makeArrivals(layout: SandboxLayout, volumes: readonly SandboxVolume[]): Promise<void> {
  for (const volume of volumes) await mkdir(arrivalOf(layout, volume), { recursive: true });
}
