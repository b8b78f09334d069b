import { FuseError } from '@soulbox/fuse';
import type { Metadata } from '../metadata/metadata.ts';

/** How long a change that a quota refuses waits for space of deleted files. Milliseconds. */
const waitMs = 200;
/** Changes of a volume that wait at once. More are refused without a wait. */
const waitingMax = 16;

/**
 * A kernel tells that nobody has a deleted file open after the answer to `unlink`, and space is given back after that. A
 * program that deletes a file of a full volume can write at once on a local disk; here, its next change waits.
 */
export interface FreedRoom {
  /** Repeats work that has failed with EDQUOT, as long as there are deleted files. */
  retry<T>(work: () => Promise<T>): Promise<T>;
  /** Space was given back. */
  note(): void;
}

export function createFreedRoom({ listOrphans }: Pick<Metadata, 'listOrphans'>): FreedRoom {
  const waiting = new Set<() => void>();
  const nextNote = async (leftMs: number): Promise<void> => {
    const { promise, resolve }: PromiseWithResolvers<void> = Promise.withResolvers();
    const timer = setTimeout(resolve, leftMs);
    waiting.add(resolve);
    await promise;
    clearTimeout(timer);
    waiting.delete(resolve);
  };
  const again = async <T>(work: () => Promise<T>, first: unknown): Promise<T> => {
    const endMs = performance.now() + waitMs;
    for (let error = first; ;) {
      const leftMs = endMs - performance.now();
      const isFull = error instanceof FuseError && error.code === 'EDQUOT';
      if (!isFull || leftMs <= 0 || waiting.size >= waitingMax) throw error;
      if ((await listOrphans(0, 1)).length === 0) throw error;
      await nextNote(leftMs);
      try {
        return await work();
      } catch (thrown) {
        error = thrown;
      }
    }
  };
  return {
    retry: (work) => work().catch((error: unknown) => again(work, error)),
    note() {
      for (const resume of waiting) resume();
    },
  };
}
