import { opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from './error-from-node.ts';

/** Deeper folders count as files, because other users may make folders without end. */
const levelsMax = 8;

/**
 * Whether there is a file, a link or anything else that is no folder in a folder or below it. `except`: names in the folder
 * itself that do not count. False if there is no such folder. Links are not followed.
 */
export async function hasFile(folder: string, except: readonly string[] = [], level = 0): Promise<boolean> {
  if (level > levelsMax) return true;
  try {
    for await (const entry of await opendir(folder)) {
      if (except.includes(entry.name)) continue;
      if (!entry.isDirectory() || (await hasFile(join(folder, entry.name), [], level + 1))) return true;
    }
    return false;
  } catch (error) {
    // Another process may have removed it meanwhile.
    if (isNodeError(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
