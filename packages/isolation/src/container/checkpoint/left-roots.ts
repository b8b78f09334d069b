import { lstat, readdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';

/** CRIU's for the roots of mount namespaces (4.2: `/tmp/.criu.mntns.XXXXXX`, which no option changes). */
const form = /^\.criu\.mntns\.\w{6}$/;

/** No restore takes as long: one that is under way, perhaps somebody else's, keeps its folder. */
const oldMs = 10 * 60_000;

/**
 * Removes the empty folders that each CRIU which was killed in the middle of a restore has left in `/tmp`. Only root's own, and
 * only empty ones: anybody may write there. Never throws for what it cannot remove: no server is to stay down for that.
 */
export async function removeLeftRoots(directory = '/tmp', nowMs = Date.now()): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names.filter((name) => form.test(name))) {
    const path = join(directory, name);
    try {
      const { mtimeMs, uid } = await lstat(path);
      if (uid === 0 && nowMs - mtimeMs > oldMs) await rmdir(path);
    } catch (error) {
      // Gone meanwhile, in use, or no empty folder.
      if (!isNodeError(error)) throw error;
    }
  }
}
