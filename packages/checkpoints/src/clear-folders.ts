import { mkdir, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { randomId, removeTree } from '@soulbox/base';
import { draftSuffix } from './names.ts';

/**
 * Folders in memory for content that must not reach the disk unencrypted: what a driver saves until it is encrypted, and
 * what it restores from. Below a folder that only root may enter.
 */
export interface ClearFolders extends AsyncDisposable {
  /** Makes the folder of a draft, and one for what a restore makes of it. */
  makeDraft(checkpointId: string): Promise<{ readonly directory: string; readonly scratch: string }>;
  /** Makes a folder of its own for a restore. */
  make(checkpointId: string): Promise<string>;
  /** Removes a folder that nothing uses any more, without making the caller wait. Disposing waits for it. */
  drop(path: string): void;
  /** Removes drafts that another process left. */
  sweepDrafts(): Promise<void>;
  /** Removes all that other processes left. Call it when no restore of theirs is in progress. */
  sweep(): Promise<void>;
}

export function createClearFolders(directory: string, logger: Logger): ClearFolders {
  const removals = new Set<Promise<void>>();
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
      // Its own even if the draft before is still being removed.
      const name = `${checkpointId}.${own}.${randomId(8)}`;
      return { scratch: await add(`${name}.scratch${draftSuffix}`), directory: await add(`${name}${draftSuffix}`) };
    },
    make: async (checkpointId) => await add(`${checkpointId}.${own}.${randomId(8)}`),
    drop(path) {
      const removal = removeFolder(path).catch((err: unknown) => {
        logger.error({ path, err }, 'unencrypted memory could not be removed');
      });
      removals.add(removal);
      void removal.finally(() => removals.delete(removal));
    },
    sweepDrafts: async () => await removeAll((name) => name.endsWith(draftSuffix) && !name.includes(`.${own}`)),
    sweep: async () => await removeAll((name) => !name.includes(`.${own}`)),
    async [Symbol.asyncDispose]() {
      await Promise.all(removals);
    },
  };
}

/** Without the process of `removeTree`, whose start stops the server for 5 ms, in each pause and resume. */
async function removeFolder(path: string): Promise<void> {
  const entries = await readdir(path, { withFileTypes: true });
  await Promise.all(
    entries.map(async (entry) => {
      const inside = join(path, entry.name);
      await (entry.isDirectory() ? removeFolder(inside) : unlink(inside));
    }),
  );
  await rmdir(path);
}
