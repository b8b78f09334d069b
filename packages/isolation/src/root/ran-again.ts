import { readFile } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';
import type { RootLayout } from './layout.ts';

/**
 * Whether processes of the restore of this generation have run on the disk of a sandbox. The mark is set by the script that lets them
 * run, so it says the truth whatever became of the server; it names the generation, so one of an earlier restore means nothing.
 */
export async function hasRunAgain({ ranMark }: Pick<RootLayout, 'ranMark'>, generation: string): Promise<boolean> {
  try {
    return (await readFile(ranMark, 'latin1')).trim() === generation;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
