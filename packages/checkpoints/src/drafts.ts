import { mkdir } from 'node:fs/promises';
import { SoulBoxError, errorFromNode } from '@soulbox/base';
import type { CheckpointStore } from './checkpoint-store.ts';
import type { Digester } from './digests/digester.ts';
import { createDraft } from './draft.ts';
import type { StorePaths } from './names.ts';
import { draftSuffix } from './names.ts';
import type { SealedCheckpoints } from './sealed-checkpoints.ts';

/** The open drafts of a store. */
export interface Drafts extends Pick<CheckpointStore, 'begin'> {
  /** Layers that open drafts may name. */
  layers(): readonly string[];
}

export function createDrafts(paths: StorePaths, digester: Digester, sealed: Pick<SealedCheckpoints, 'has'>): Drafts {
  /** Open drafts, and the layers that each may name. */
  const drafts = new Map<string, readonly string[]>();
  return {
    async begin(checkpointId, layers = []) {
      const target = paths.checkpoint(checkpointId);
      if (drafts.has(checkpointId) || (await sealed.has(checkpointId)))
        throw new SoulBoxError('name_taken', `Checkpoint "${checkpointId}" already exists or is being written.`);
      const directory = target + draftSuffix;
      drafts.set(checkpointId, layers);
      digester.start();
      try {
        await mkdir(directory, { mode: 0o700 });
      } catch (error) {
        drafts.delete(checkpointId);
        throw errorFromNode(error, `No folder could be made for checkpoint "${checkpointId}" on the disk of the host.`);
      }
      const onEnd = (): boolean => drafts.delete(checkpointId);
      return createDraft({ checkpointId, layers, directory, target }, digester, onEnd);
    },
    layers: () => [...drafts.values()].flat(),
  };
}
