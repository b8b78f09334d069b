import { lchown, mkdir, stat } from 'node:fs/promises';
import { posix } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { User } from '../users/users.ts';

/**
 * Creates a directory and its missing parents, each with mode 0755 and owned by the user. Existing ones are not
 * changed. Returns false if the directory existed. Throws not_a_directory if a file is in the way.
 */
export async function makeDirectories(path: string, user: User): Promise<boolean> {
  if (await isDirectory(path)) return false;
  const parent = posix.dirname(path);
  if (parent !== path) await makeDirectories(parent, user);
  try {
    await mkdir(path, 0o755);
  } catch (error) {
    // Another process created it meanwhile.
    if (isNodeError(error) && error.code === 'EEXIST' && (await isDirectory(path))) return false;
    if (isNodeError(error) && error.code === 'EEXIST') throw notADirectory(path);
    throw error;
  }
  await lchown(path, user.uid, user.gid);
  return true;
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    if ((await stat(path)).isDirectory()) return true;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return false;
    throw error;
  }
  throw notADirectory(path);
}

function notADirectory(path: string): SoulBoxError {
  return new SoulBoxError('not_a_directory', `path '${path}' exists and is not a directory`);
}
