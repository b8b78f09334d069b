import { readdir, readFile } from 'node:fs/promises';
import { basename, sep } from 'node:path';
import { sleep } from '@soulbox/base';
import type { MountEntry } from '../cgroup/mounts.ts';

/** Documentation/admin-guide/devices.txt. */
const loopMajor = '7';
const releaseTimeoutMs = 2_000;

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
 * Waits until the loop device has let go of its file in `directory`, for 2 s at most; false when it has not. It does so by
 * itself when the last mount is gone, which may be some milliseconds after the last process is.
 */
export async function waitUntilReleased(device: string, directory: string): Promise<boolean> {
  const deadline = Date.now() + releaseTimeoutMs;
  for (let waitMs = 1; (await findBackingFile(device))?.startsWith(directory + sep) === true; waitMs *= 2) {
    if (Date.now() > deadline) return false;
    await sleep(Math.min(waitMs, 50));
  }
  return true;
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
