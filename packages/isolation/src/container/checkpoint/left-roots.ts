import { lstat, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';

/** CRIU's folder names for the roots of mount namespaces (4.2: `/tmp/.criu.mntns.XXXXXX`, which no option changes). */
const form = /^\.criu\.mntns\.\w{6}$/;

/** No restore takes that long: the folder of a running restore, perhaps of another program, is kept. */
const oldMs = 10 * 60_000;

/**
 * Removes the empty folders in `/tmp` left by each CRIU that was killed in the middle of a restore. Only folders of
 * root, and only empty ones: anybody may write to /tmp. Never throws for a folder that it cannot remove: that must not
 * prevent a server's start.
 */
export async function removeLeftRoots(directory = '/tmp', nowMs = Date.now()): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter((name) => form.test(name))) {
    const path = join(directory, name);
    try {
      const { mtimeMs, uid } = await lstat(path);
      if (uid === 0 && nowMs - mtimeMs > oldMs) await rmdir(path);
    } catch (error) {
      // The folder is gone, in use, or not an empty folder.
      if (!isNodeError(error)) throw error;
    }
  }
}
