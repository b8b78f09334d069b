import type { Logger } from '@soulbox/base';
import { SoulBoxError } from '@soulbox/base';
import type { Layers } from './layers.ts';
import { readManifest } from './open-checkpoint.ts';
import type { Collection, Needed, CheckpointStore } from './checkpoint-store.ts';

/** What a collection needs of the store beside its states. */
export interface Shelves {
  readonly store: Pick<CheckpointStore, 'list' | 'remove'>;
  readonly layers: Pick<Layers, 'list' | 'remove'>;
  readonly logger: Logger;
  /** What the drafts that are open will name. */
  layersOfDrafts(): readonly string[];
  statePath(stateId: string): string;
}

/**
 * Mark and sweep. What is there is listed before anybody is asked what is needed, so what was made meanwhile is not up for
 * removal. States go first: a crash in between leaves layers that nobody names, for the next time.
 */
export async function collect(shelves: Shelves, findNeeded: () => Needed | Promise<Needed>): Promise<Collection> {
  const states = await shelves.store.list();
  const layers = await shelves.layers.list();
  const needed = await findNeeded();
  const removedStates = states.filter((id) => !needed.states.has(id));
  for (const id of removedStates) await shelves.store.remove(id);
  const removedLayers = await findUnneeded(shelves, layers, needed.layers);
  for (const id of removedLayers) await shelves.layers.remove(id);
  return { removedStates, removedLayers };
}

async function findUnneeded(
  shelves: Shelves,
  layers: readonly string[],
  needed: ReadonlySet<string>,
): Promise<string[]> {
  // Before the list: one that is sealed in between is a state by then.
  const named = new Set([...needed, ...shelves.layersOfDrafts()]);
  for (const stateId of await shelves.store.list()) {
    const found = await findLayers(shelves, stateId);
    if (found === 'unreadable') return [];
    for (const layerId of found) named.add(layerId);
  }
  return layers.filter((id) => !named.has(id));
}

/** Of one that cannot be read any layer may be its own; one that was removed meanwhile has none. */
async function findLayers(shelves: Shelves, stateId: string): Promise<readonly string[] | 'unreadable'> {
  try {
    return (await readManifest(stateId, shelves.statePath(stateId))).facts.layers;
  } catch (error) {
    if (!(error instanceof SoulBoxError)) throw error;
    if (!(await shelves.store.list()).includes(stateId)) return [];
    shelves.logger.warn(
      { stateId, err: error },
      'a checkpoint is unreadable; no layer is removed until it can be read',
    );
    return 'unreadable';
  }
}
