import { mkdir } from 'node:fs/promises';
import { SoulBoxError, errorFromNode, removeTree } from '@soulbox/base';
import type { CheckpointStore } from './checkpoint-store.ts';
import { createDraft } from './draft.ts';
import type { StorePaths } from './names.ts';
import { draftSuffix } from './names.ts';
import type { SealedCheckpoints } from './sealed-checkpoints.ts';
import type { StoreTools } from './store-tools.ts';

/** The open drafts of a store. */
export interface Drafts extends Pick<CheckpointStore, 'begin'> {
  /** Layers that open drafts may name. */
  layers(): readonly string[];
}

export function createDrafts(paths: StorePaths, tools: StoreTools, sealed: Pick<SealedCheckpoints, 'has'>): Drafts {
  /** Open drafts, and the layers that each may name. */
  const drafts = new Map<string, readonly string[]>();
  return {
    async begin(checkpointId, layers = []) {
      const target = paths.checkpoint(checkpointId);
      if (drafts.has(checkpointId) || (await sealed.has(checkpointId)))
        throw new SoulBoxError('name_taken', `Checkpoint "${checkpointId}" already exists or is being written.`);
      const sealedDraft = target + draftSuffix;
      drafts.set(checkpointId, layers);
      tools.digester.start();
      let clear: { readonly directory: string; readonly scratch: string };
      try {
        await mkdir(sealedDraft, { mode: 0o700 });
        clear = await tools.clear.makeDraft(checkpointId);
      } catch (error) {
        await removeTree(sealedDraft);
        drafts.delete(checkpointId);
        throw errorFromNode(error, `No folder could be made for checkpoint "${checkpointId}" on the disk of the host.`);
      }
      const onEnd = (): boolean => drafts.delete(checkpointId);
      return createDraft({ ...clear, checkpointId, layers, sealed: sealedDraft, target }, tools, onEnd);
    },
    layers: () => [...drafts.values()].flat(),
  };
}
