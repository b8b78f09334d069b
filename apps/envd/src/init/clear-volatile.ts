import { lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { LifeLog } from '../life-log.ts';

/** The mount of the host. */
const hostDirectory = '/run/soulbox';

interface ClearOptions {
  readonly keepFolders: boolean;
  /** The device of the start folder. A path on another device is a mount. */
  readonly device: number;
  readonly log: LifeLog;
}

/**
 * Removes the files that a reboot clears on other machines, because they are in memory there: all of /dev/shm, and
 * everything in /run such as pid files and sockets, except folders, which packages created and their services expect.
 * /tmp stays, as on most servers. It follows no links and enters no mounts. Never throws: a path that cannot be removed
 * is logged and stays.
 */
export async function clearVolatile(log: LifeLog): Promise<void> {
  for (const [directory, keepFolders] of [
    ['/run', true],
    ['/dev/shm', false],
  ] as const) {
    try {
      await clear(directory, { keepFolders, device: (await lstat(directory)).dev, log });
    } catch (error) {
      warn(log, directory, error);
    }
  }
}

async function clear(directory: string, options: ClearOptions): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name);
    await remove(path, options).catch((error: unknown) => warn(options.log, path, error));
  }
}

async function remove(path: string, options: ClearOptions): Promise<void> {
  const stats = await lstat(path);
  if (path === hostDirectory || stats.dev !== options.device) return;
  if (!stats.isDirectory()) {
    await unlink(path);
    return;
  }
  await clear(path, options);
  if (!options.keepFolders) await rmdir(path);
}

function warn(log: LifeLog, path: string, error: unknown): void {
  log.record('warn', 'init', 'A leftover file of the previous boot could not be removed', {
    path,
    cause: String(error),
  });
}
