import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { randomId, removeTree } from '@soulbox/base';
import { draftSuffix } from './names.ts';

/**
 * Folders in memory for content that must not reach the disk unencrypted: what a driver saves until it is encrypted, and
 * what it restores from. Below a folder that only root may enter.
 */
export interface ClearFolders {
  /** Makes the folder of a draft, and one for what a restore makes of it. */
  makeDraft(checkpointId: string): Promise<{ readonly directory: string; readonly scratch: string }>;
  /** Makes a folder of its own for a restore. */
  make(checkpointId: string): Promise<string>;
  /** Removes drafts that another process left. */
  sweepDrafts(): Promise<void>;
  /** Removes all that other processes left. Call it when no restore of theirs is in progress. */
  sweep(): Promise<void>;
}

export function createClearFolders(directory: string): ClearFolders {
  /** Marks the folders of this process. */
  const own = randomId(8);
  const removeAll = async (isMeant: (name: string) => boolean): Promise<void> => {
    for (const name of (await readdir(directory)).filter(isMeant)) await removeTree(join(directory, name));
  };
  const add = async (name: string): Promise<string> => {
    const path = join(directory, name);
    await mkdir(path, { mode: 0o700 });
    return path;
  };
  return {
    makeDraft: async (checkpointId) => {
      const name = `${checkpointId}.${own}`;
      return { scratch: await add(`${name}.scratch${draftSuffix}`), directory: await add(`${name}${draftSuffix}`) };
    },
    make: async (checkpointId) => await add(`${checkpointId}.${own}.${randomId(8)}`),
    sweepDrafts: async () => await removeAll((name) => name.endsWith(draftSuffix) && !name.includes(`.${own}`)),
    sweep: async () => await removeAll((name) => !name.includes(`.${own}`)),
  };
}
