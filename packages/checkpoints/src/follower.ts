import { setTimeout as delay } from 'node:timers/promises';
import { blockBytes } from './digests/digest-job.ts';
import type { PartFile } from './part-files.ts';
import { listPartFiles } from './part-files.ts';

const pollMs = 5;
/** Blocks of one part that are read at a time (64 MiB), so that a large part does not delay the others. */
const maxBlocksAtOnce = 64;

/** Encrypts blocks `first` to `end - 1` of a part that has `sizeBytes` now. Gives their seals. */
export type SealBlocks = (part: PartFile, first: number, end: number) => Promise<string[]>;

/** Seals of the first blocks of a part that was still growing. */
interface Beginning {
  readonly inode: number;
  readonly seals: string[];
}

export interface Follower {
  /** Stops after the current read. */
  stop(): Promise<void>;
  /**
   * The known seals of a part, after `stop`. Empty for another file of the same name. Throws if the part became shorter:
   * what was encrypted is freed.
   */
  sealsOf(part: PartFile): readonly string[];
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
    const known = beginnings.get(part.name) ?? { inode: part.inode, seals: [] };
    beginnings.set(part.name, known);
    // `seal` reads a file that replaced another one from its beginning, so nothing of it may be freed.
    if (known.inode !== part.inode) return false;
    const first = known.seals.length;
    // Only complete blocks, because the last one still grows.
    const end = Math.min(Math.floor(part.sizeBytes / blockBytes), first + maxBlocksAtOnce);
    if (end <= first || stopped.signal.aborted) return false;
    known.seals.push(...(await sealBlocks(part, first, end)));
    return true;
  };

  /** True when there was something to read. */
  const look = async (): Promise<boolean> => {
    const parts = (await listPartFiles(directory)).filter((part) => isMeant(part.name));
    const found = await Promise.all(parts.map((part) => read(part)));
    return found.includes(true);
  };

  const follow = async (): Promise<void> => {
    try {
      while (!stopped.signal.aborted) {
        if (!(await look())) await delay(pollMs, undefined, { signal: stopped.signal });
      }
    } catch {
      // It was stopped, or a part was removed. `seal` reads unknown parts itself, and reports errors.
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
      if (known?.inode !== part.inode) return [];
      if (known.seals.length * blockBytes <= part.sizeBytes) return known.seals;
      throw new Error(`${part.name} became shorter while it was encrypted`);
    },
    hasRead: (partName) => beginnings.has(partName),
  };
}
