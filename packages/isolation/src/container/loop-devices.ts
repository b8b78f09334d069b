import { readdir, readFile } from 'node:fs/promises';
import { basename, sep } from 'node:path';
import { sleep, SoulBoxError } from '@soulbox/base';
import type { MountEntry } from '../cgroup/mounts.ts';

/** Documentation/admin-guide/devices.txt. */
const loopMajor = '7';
const releaseTimeoutMs = 5_000;

export function isLoopDevice(mount: MountEntry): boolean {
  return mount.device.startsWith(`${loopMajor}:`);
}

/** The file behind a loop device, by `major:minor`; undefined when it has none. */
async function findBackingFile(device: string): Promise<string | undefined> {
  try {
    return (await readFile(`/sys/dev/block/${device}/loop/backing_file`, 'utf8')).trimEnd();
  } catch {
    return undefined;
  }
}

/**
 * Resolves when the loop device has let go of its file in `directory`. It does so by itself after the last unmount, but a
 * mount namespace that is just being made or taken down may hold the file system for some milliseconds more.
 */
export async function waitUntilReleased(device: string, directory: string): Promise<void> {
  const deadline = Date.now() + releaseTimeoutMs;
  for (let waitMs = 1; (await findBackingFile(device))?.startsWith(directory + sep) === true; waitMs *= 2) {
    if (Date.now() > deadline)
      throw new SoulBoxError('internal', `Loop device ${device} still holds the disk of a sandbox after 5 s.`);
    await sleep(Math.min(waitMs, 100));
  }
}

/** Names of the files behind all loop devices in use on this host. */
export async function listLoopImages(): Promise<string[]> {
  const devices = (await readdir('/sys/block')).filter((name) => name.startsWith('loop'));
  const files = await Promise.all(
    devices.map(async (name) => {
      const number = await readFile(`/sys/block/${name}/dev`, 'latin1');
      return await findBackingFile(number.trim());
    }),
  );
  return files.filter((file) => file !== undefined).map((file) => basename(file.replace(/ \(deleted\)$/, '')));
}
