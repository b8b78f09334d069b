import { SoulBoxError, randomId } from '@soulbox/base';
import type { ObjectStore } from '../object-store.ts';
import { promises } from './promises.ts';

export interface CheckedPromise {
  readonly id: string;
  readonly promise: string;
  /** `lacks`: the store says that it does not have this. `fails`: it does something else. */
  readonly outcome: 'holds' | 'lacks' | 'fails' | 'skipped';
  /** Absent if it holds. */
  readonly detail?: string;
  readonly durationMs: number;
}

export interface CheckOptions {
  readonly signal?: AbortSignal;
  readonly onChecked?: (checked: CheckedPromise) => void;
}

/**
 * Tries every promise of an object store, with objects of a new prefix that are deleted at the end. If nothing can be
 * written and read, the rest is skipped.
 */
export async function checkObjectStore(
  store: ObjectStore,
  { signal, onChecked }: CheckOptions = {},
): Promise<readonly CheckedPromise[]> {
  const prefix = `soulbox-check-${randomId(12)}/`;
  const checked: CheckedPromise[] = [];
  const note = (entry: CheckedPromise): void => {
    checked.push(entry);
    onChecked?.(entry);
  };
  for (const { id, promise, check } of promises) {
    signal?.throwIfAborted();
    if (checked[0]?.outcome === 'fails') {
      note({ id, promise, outcome: 'skipped', detail: 'nothing can be written and read', durationMs: 0 });
      continue;
    }
    const startedAt = performance.now();
    const outcome = await outcomeOf(check({ store, prefix: `${prefix}${id}/`, signal }));
    signal?.throwIfAborted();
    note({ id, promise, ...outcome, durationMs: Math.round(performance.now() - startedAt) });
  }
  // Where nothing could be written, this would only wait once more.
  if (checked[0]?.outcome !== 'fails') note(await removeAll(store, prefix, signal));
  return checked;
}

async function outcomeOf(check: Promise<void>): Promise<Pick<CheckedPromise, 'outcome' | 'detail'>> {
  try {
    await check;
    return { outcome: 'holds' };
  } catch (thrown) {
    const isLack = thrown instanceof SoulBoxError && thrown.reason === 'storage_unsupported';
    return { outcome: isLack ? 'lacks' : 'fails', detail: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

async function removeAll(store: ObjectStore, prefix: string, signal: AbortSignal | undefined): Promise<CheckedPromise> {
  const startedAt = performance.now();
  const outcome = await outcomeOf(emptyPrefix(store, prefix, signal));
  const promise = 'deleted objects are gone, and so is all that this check has written';
  return { id: 'clean', promise, ...outcome, durationMs: Math.round(performance.now() - startedAt) };
}

async function emptyPrefix(store: ObjectStore, prefix: string, signal: AbortSignal | undefined): Promise<void> {
  // Rounds, because pages end where objects are deleted.
  for (let round = 0; round < 20; round++) {
    const { objects } = await store.list({ prefix, signal });
    if (objects.length === 0) return;
    for (const { key } of objects) await store.delete(key, { signal });
  }
  throw new Error(`Objects below ${prefix} are listed again and again after they were deleted.`);
}
