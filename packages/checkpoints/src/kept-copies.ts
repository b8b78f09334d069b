import { totalmem } from 'node:os';
import { timingSafeEqual } from 'node:crypto';
import type { ClearFolders } from './clear-folders.ts';

/** As long as the pool of a runner looks back for a burst (docs/decisions/031). */
const idleMs = 10_000;
/** Idle copies together: 2 percent of the memory of the host, at most 256 MiB. */
const idleMaxBytes = (): number => Math.min(256 * 2 ** 20, totalmem() / 50);

/** The decrypted parts of a checkpoint in memory. */
export interface ClearCopy {
  /** Of `ClearFolders`. */
  readonly folder: string;
  /** The parts, below it. */
  readonly directory: string;
  readonly sizeBytes: number;
  /** Resolves when the parts with memory are complete and checked. Rejects if they do not match. */
  readonly pagesChecked: Promise<void>;
}

/**
 * Clear copies of checkpoints that several restores use at once, and that stay for ten seconds for the next one. Nobody
 * writes into them.
 */
export interface KeptCopies extends AsyncDisposable {
  /**
   * The copy of this checkpoint, made by `make` if there is none. It stays until disposed. A copy of other content under
   * the same id, which has another key, is not used.
   */
  share(checkpointId: string, key: Uint8Array, make: () => Promise<ClearCopy>): Promise<ClearCopy & Disposable>;
  /** The checkpoint is removed: its copy goes when nobody uses it. */
  forget(checkpointId: string): void;
  /** Removes the copies that nobody uses: the host needs its memory. */
  dropIdle(): void;
}

interface Kept {
  readonly key: Uint8Array;
  readonly made: Promise<ClearCopy>;
  users: number;
  /** When the last user ended. */
  idle: { readonly sizeBytes: number; readonly timer: NodeJS.Timeout } | undefined;
}

export function createKeptCopies(clear: Pick<ClearFolders, 'drop'>): KeptCopies {
  const copies = new Map<string, Kept>();
  const drops = new Set<Promise<void>>();

  /** No longer found. Removed now, or by its last user. */
  const forget = (checkpointId: string, kept: Kept): void => {
    if (copies.get(checkpointId) === kept) copies.delete(checkpointId);
    clearTimeout(kept.idle?.timer);
    if (kept.users === 0) drop(kept);
  };
  const drop = ({ made }: Kept): void => {
    const end = made
      .then(async ({ folder, pagesChecked }) => {
        // Threads may still write into it.
        await pagesChecked.catch(() => undefined);
        clear.drop(folder);
      })
      .catch(() => undefined);
    drops.add(end);
    void end.finally(() => drops.delete(end));
  };
  const idleOnes = (): [checkpointId: string, kept: Kept][] => [...copies].filter(([, { users }]) => users === 0);

  const release = (checkpointId: string, kept: Kept, sizeBytes: number): void => {
    kept.users -= 1;
    if (kept.users > 0) return;
    if (copies.get(checkpointId) !== kept) {
      drop(kept);
      return;
    }
    kept.idle = { sizeBytes, timer: setTimeout(() => forget(checkpointId, kept), idleMs).unref() };
    // The last to become idle is the last in the map, and the first to go if it is too large itself.
    copies.delete(checkpointId);
    copies.set(checkpointId, kept);
    let tooMany = idleOnes().reduce((sum, [, { idle }]) => sum + (idle?.sizeBytes ?? 0), 0) - idleMaxBytes();
    for (const [id, one] of idleOnes()) {
      if (tooMany <= 0) break;
      tooMany -= one.idle?.sizeBytes ?? 0;
      forget(id, one);
    }
  };

  return {
    async share(checkpointId, key, make) {
      let kept = copies.get(checkpointId);
      if (kept !== undefined && !isSame(kept.key, key)) {
        forget(checkpointId, kept);
        kept = undefined;
      }
      if (kept === undefined) {
        const made = make();
        const own: Kept = { key: Uint8Array.from(key), made, users: 0, idle: undefined };
        kept = own;
        copies.set(checkpointId, own);
        // A copy that failed is not used again: the next caller reads the checkpoint anew.
        made
          .then(async ({ pagesChecked }) => await pagesChecked)
          .catch(() => {
            if (copies.get(checkpointId) === own) copies.delete(checkpointId);
          });
      }
      const used = kept;
      clearTimeout(used.idle?.timer);
      used.idle = undefined;
      used.users += 1;
      let isHeld = true;
      const end = (sizeBytes: number): void => {
        if (isHeld) release(checkpointId, used, sizeBytes);
        isHeld = false;
      };
      try {
        const copy = await used.made;
        return { ...copy, [Symbol.dispose]: () => end(copy.sizeBytes) };
      } catch (error) {
        end(0);
        throw error;
      }
    },
    forget(checkpointId) {
      const kept = copies.get(checkpointId);
      if (kept !== undefined) forget(checkpointId, kept);
    },
    dropIdle() {
      for (const [id, kept] of idleOnes()) forget(id, kept);
    },
    async [Symbol.asyncDispose]() {
      for (const [id, kept] of copies) forget(id, kept);
      await Promise.all(drops);
    },
  };
}

function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}
