import type { Logger } from '@soulbox/base';
import { SoulBoxError } from '@soulbox/base';
import type { Layers } from './layers.ts';
import { readManifest } from './open-checkpoint.ts';
import type { CheckpointKeys } from './sealing/checkpoint-keys.ts';
import type { Collection, Needed, CheckpointStore } from './checkpoint-store.ts';

/** The parts of the store that a collection uses. */
export interface Shelves {
  readonly store: Pick<CheckpointStore, 'list' | 'remove'>;
  readonly layers: Pick<Layers, 'list' | 'remove'>;
  readonly logger: Logger;
  /** Layers that open drafts may name. */
  layersOfDrafts(): readonly string[];
  checkpointPath(checkpointId: string): string;
  readonly keys: CheckpointKeys;
}

/**
 * Mark and sweep. Checkpoints and layers are listed before the caller is asked what it needs, so that new ones are not
 * removed. Checkpoints are removed first: a crash in between leaves unreferenced layers for the next collection.
 */
export async function collect(shelves: Shelves, findNeeded: () => Needed | Promise<Needed>): Promise<Collection> {
  const checkpoints = await shelves.store.list();
  const layers = await shelves.layers.list();
  const needed = await findNeeded();
  const removedCheckpoints = checkpoints.filter((id) => !needed.checkpoints.has(id));
  for (const id of removedCheckpoints) await shelves.store.remove(id);
  const removedLayers = await findUnneeded(shelves, layers, needed.layers);
  for (const id of removedLayers) await shelves.layers.remove(id);
  return { removedCheckpoints, removedLayers };
}

async function findUnneeded(
  shelves: Shelves,
  layers: readonly string[],
  needed: ReadonlySet<string>,
): Promise<string[]> {
  // Read before the checkpoints, because a draft that is sealed in between is a checkpoint by then.
  const named = new Set([...needed, ...shelves.layersOfDrafts()]);
  for (const checkpointId of await shelves.store.list()) {
    const found = await findLayers(shelves, checkpointId);
    if (found === 'unreadable') return [];
    for (const layerId of found) named.add(layerId);
  }
  return layers.filter((id) => !named.has(id));
}

/** An unreadable checkpoint may name any layer. A checkpoint that was removed meanwhile has no layers. */
async function findLayers(shelves: Shelves, checkpointId: string): Promise<readonly string[] | 'unreadable'> {
  try {
    return (await readManifest(checkpointId, shelves.checkpointPath(checkpointId), shelves.keys)).facts.layers;
  } catch (error) {
    if (!(error instanceof SoulBoxError)) throw error;
    if (!(await shelves.store.list()).includes(checkpointId)) return [];
    shelves.logger.warn(
      { checkpointId, err: error },
      'a checkpoint is unreadable; no layer is removed until it can be read',
    );
    return 'unreadable';
  }
}
