import { readFile } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';
import type { RootLayout } from './layout.ts';

/**
 * Whether processes of the restore with this generation have run on the disk of a sandbox. The script that lets them
 * run sets the mark, so it is correct even if the server died. It names the generation, so the mark of an earlier
 * restore does not count.
 */
export async function hasRunAgain({ ranMark }: Pick<RootLayout, 'ranMark'>, generation: string): Promise<boolean> {
  try {
    return (await readFile(ranMark, 'latin1')).trim() === generation;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
