import { readdir, rename, stat } from 'node:fs/promises';
import { SoulBoxError, isNodeError, removeTree } from '@soulbox/base';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { StorePaths } from './names.ts';
import { isId, removedSuffix } from './names.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import type { StoreTools } from './store-tools.ts';

/** The folders of the sealed checkpoints of a store. */
export interface SealedCheckpoints extends Pick<CheckpointStore, 'find' | 'list' | 'open'> {
  has(checkpointId: string): Promise<boolean>;
  /** False when there is none. */
  remove(checkpointId: string): Promise<boolean>;
}

export function createSealedCheckpoints(paths: StorePaths, tools: StoreTools): SealedCheckpoints {
  const find: SealedCheckpoints['find'] = async (checkpointId) => {
    const directory = paths.checkpoint(checkpointId);
    return (await exists(directory)) ? await openCheckpoint(checkpointId, directory, tools) : undefined;
  };

  return {
    find,
    async has(checkpointId) {
      return await exists(paths.checkpoint(checkpointId));
    },
    async open(checkpointId) {
      const checkpoint = await find(checkpointId);
      if (checkpoint === undefined)
        throw new SoulBoxError('snapshot_not_found', `Checkpoint "${checkpointId}" was not found.`);
      return checkpoint;
    },
    async list() {
      return (await readdir(paths.checkpoints)).filter(isId).sort();
    },
    async remove(checkpointId) {
      const directory = paths.checkpoint(checkpointId);
      const removed = directory + removedSuffix;
      try {
        await rename(directory, removed);
      } catch (error) {
        if (isNodeError(error) && error.code === 'ENOENT') return false;
        throw error;
      }
      await removeTree(removed);
      return true;
    },
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
