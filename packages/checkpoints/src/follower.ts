import { setTimeout as delay } from 'node:timers/promises';
import { blockBytes } from './digests/digest-job.ts';
import type { Encrypted } from './digests/digest-job.ts';
import type { PartFile } from './part-files.ts';
import { listPartFiles } from './part-files.ts';

const pollMs = 5;
/** Blocks of one part that are read at a time (64 MiB), so that a large part does not delay the others. */
const maxBlocksAtOnce = 64;

/** Encrypts blocks `first` to `end - 1` of a part that has `sizeBytes` now, and frees them. */
export type SealBlocks = (part: PartFile, first: number, end: number) => Promise<Encrypted>;

/** Seals of the first blocks of a part that was still growing. */
interface Beginning {
  readonly inode: number;
  readonly seals: string[];
  isFreed: boolean;
  /** Blocks whose seals are lost may be freed: the part cannot be sealed any more. */
  failure: Error | undefined;
}

export interface Follower {
  /** Stops after the current read. */
  stop(): Promise<void>;
  /**
   * The known seals of a part, after `stop`. Empty for another file of the same name. Throws if a read of the part failed
   * or the part became shorter: what was encrypted is freed.
   */
  sealsOf(part: PartFile): Encrypted;
  /** Whether it encrypted anything of a file of this name. */
  hasRead(partName: string): boolean;
}

/** Encrypts append-only parts of a draft while they grow. */
export function createFollower(
  directory: string,
  isMeant: (partName: string) => boolean,
  sealBlocks: SealBlocks,
): Follower {
  const beginnings = new Map<string, Beginning>();
  const stopped = new AbortController();

  const read = async (part: PartFile): Promise<boolean> => {
    const known = beginnings.get(part.name) ?? { inode: part.inode, seals: [], isFreed: true, failure: undefined };
    beginnings.set(part.name, known);
    // `seal` reads a file that replaced another one from its beginning, so nothing of it may be freed.
    if (known.inode !== part.inode) return false;
    const first = known.seals.length;
    // Only complete blocks, because the last one still grows.
    const end = Math.min(Math.floor(part.sizeBytes / blockBytes), first + maxBlocksAtOnce);
    if (end <= first || stopped.signal.aborted) return false;
    try {
      const { seals, isFreed } = await sealBlocks(part, first, end);
      known.seals.push(...seals);
      known.isFreed &&= isFreed;
    } catch (error) {
      // Some of the blocks may have been encrypted and freed before another one failed.
      known.failure = new Error(`${part.name} could not be encrypted while it was written`, { cause: error });
      throw error;
    }
    return true;
  };

  /** True when there was something to read. After an error it throws when all reads have ended. */
  const look = async (): Promise<boolean> => {
    const parts = (await listPartFiles(directory)).filter((part) => isMeant(part.name));
    const reads = await Promise.allSettled(parts.map((part) => read(part)));
    return reads.map(valueOf).includes(true);
  };

  const follow = async (): Promise<void> => {
    try {
      while (!stopped.signal.aborted) {
        if (!(await look())) await delay(pollMs, undefined, { signal: stopped.signal });
      }
    } catch {
      // It was stopped, a part was removed, or a read failed, which `sealsOf` reports. `seal` reads unknown parts itself.
    }
  };

  const done = follow();
  return {
    async stop() {
      stopped.abort();
      await done;
    },
    sealsOf(part) {
      const known = beginnings.get(part.name);
      if (known?.inode !== part.inode) return { seals: [], isFreed: false };
      if (known.failure !== undefined) throw known.failure;
      if (known.seals.length * blockBytes <= part.sizeBytes) return known;
      throw new Error(`${part.name} became shorter while it was encrypted`);
    },
    hasRead: (partName) => beginnings.has(partName),
  };
}

function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') throw settled.reason;
  return settled.value;
}
