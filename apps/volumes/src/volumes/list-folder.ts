import { readdir } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';

/** The names in a folder. None, if it is not there. */
export async function listFolder(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return [];
    throw error;
  }
}
