import { SoulBoxError } from '@soulbox/base';
import { readBody } from './generations.ts';
import type { Generation, GenerationBody, Generations } from './generations.ts';
import type { Packs } from './packs.ts';

/** Bytes of lists that a collection remembers between two runs, as names of packs. */
const waitingMax = 1_000_000;

export interface CollectOptions {
  readonly group: string;
  readonly packs: Packs;
  readonly generations: Generations;
  /** The generations that are kept of each volume of the group. */
  readonly kept: ReadonlyMap<string, readonly number[]>;
  /** Packs that the volumes on this host name, and those that were stored and are not named yet. */
  readonly named: ReadonlySet<string>;
  /** Called before packs are deleted. */
  readonly forget: (packs: ReadonlySet<string>) => void;
  readonly graceMs: number;
  /** Of a clock that never goes back. */
  readonly nowMs: number;
  /** Since when nothing names a pack, from the collection before. */
  readonly waiting: Map<string, number>;
  /** Called with what each kept generation names, the newest one of a volume last. */
  readonly onGeneration?: (generation: Generation, body: GenerationBody) => void;
  readonly signal: AbortSignal;
}

/**
 * Deletes the packs of a group that nothing has named since a collection that is at least the grace ago. Throws, and
 * deletes nothing, if one of the generations cannot be read. Returns the number of deleted packs.
 */
export async function collectPacks(options: CollectOptions): Promise<number> {
  const { group, packs, named, waiting, nowMs, graceMs, signal } = options;
  const needed = new Set([...named, ...(await packsOfGenerations(options))]);
  const still = new Map<string, number>();
  const due = new Set<string>();
  for await (const { pack } of packs.list(group, signal)) {
    if (needed.has(pack)) continue;
    const since = waiting.get(pack) ?? nowMs;
    if (nowMs - since >= graceMs) due.add(pack);
    else if (still.size < waitingMax) still.set(pack, since);
  }
  options.forget(due);
  for (const pack of due) await packs.delete(group, pack, signal);
  waiting.clear();
  for (const [pack, since] of still) waiting.set(pack, since);
  return due.size;
}

async function packsOfGenerations({
  kept,
  generations,
  packs,
  onGeneration,
  signal,
}: CollectOptions): Promise<Set<string>> {
  const needed = new Set<string>();
  for (const [volumeId, numbers] of kept)
    for (const number of numbers) {
      const generation = await generations.get(volumeId, number, signal);
      if (generation === undefined)
        throw new SoulBoxError(
          'storage_damaged',
          `Generation ${number} of the volume ${volumeId} is not in the store.`,
        );
      for (const { pack } of generation.body) needed.add(pack);
      const body = await readBody(packs, generation, signal);
      for (const pack of packsOfBody(body)) needed.add(pack);
      onGeneration?.(generation, body);
    }
  return needed;
}

function* packsOfBody({ pieces, packs }: GenerationBody): Generator<string> {
  yield* packs;
  for (const { place } of pieces) yield place.pack;
}
