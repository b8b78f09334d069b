import type { CheckpointStore } from '@soulbox/checkpoints';
import type { StoredCopies } from './stored-copies.ts';

/**
 * The checkpoints and layers of this host and of the object store: whatever is opened is fetched first. `list`, `find` and
 * `collect` know this host only. Throws the errors of `StoredCopies` too.
 */
export function fetchingCheckpoints(local: CheckpointStore, stored: StoredCopies): CheckpointStore {
  const layersHere = async (ids: readonly string[]): Promise<void> => {
    await Promise.all(ids.map(async (id) => await stored.layer(id)));
  };
  return {
    ...local,
    async open(checkpointId) {
      await stored.checkpoint(checkpointId);
      return await local.open(checkpointId);
    },
    async unpack(checkpointId, admit) {
      await stored.checkpoint(checkpointId);
      return await local.unpack(checkpointId, admit);
    },
    async compress(checkpointId, signal) {
      // What is not here, or not yet, takes no space that could be saved.
      if (stored.isArriving(checkpointId)) return undefined;
      if (!(await local.list()).includes(checkpointId)) return undefined;
      return await local.compress(checkpointId, signal);
    },
    async linkInto(directory, checkpoints, layers) {
      for (const checkpointId of checkpoints) await stored.checkpoint(checkpointId);
      await layersHere(layers);
      await local.linkInto(directory, checkpoints, layers);
    },
    async remove(checkpointId) {
      stored.forget(checkpointId);
      await local.remove(checkpointId);
    },
    async digestsOfLayer(layerId) {
      await stored.layer(layerId);
      return await local.digestsOfLayer(layerId);
    },
    async verifyLayer(layerId) {
      await stored.layer(layerId);
      await local.verifyLayer(layerId);
    },
    async flatten(layerIds, layerId) {
      await layersHere(layerIds);
      await local.flatten(layerIds, layerId);
    },
    async collect(findNeeded) {
      const collection = await local.collect(findNeeded);
      for (const checkpointId of collection.removedCheckpoints) stored.forget(checkpointId);
      return collection;
    },
    [Symbol.asyncDispose]: async () => await local[Symbol.asyncDispose](),
  };
}
