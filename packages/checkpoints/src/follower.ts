import { setTimeout as delay } from 'node:timers/promises';
import type { Digester } from './digests/digester.ts';
import { blockBytes } from './digests/digest-job.ts';
import type { PartFile } from './part-files.ts';
import { listPartFiles } from './part-files.ts';

const pollMs = 5;
/** Blocks of one part that are read at a time (64 MiB), so that a large part does not delay the others. */
const maxBlocksAtOnce = 64;

/** Digests of the first blocks of a part that was still growing. */
interface Beginning {
  readonly inode: number;
  readonly digests: string[];
}

export interface Follower {
  /** Stops after the current read. */
  stop(): Promise<void>;
  /**
   * The known digests of a part, after `stop`. Empty unless it is the same file and at least as long as what was read.
   */
  digestsOf(part: PartFile): readonly string[];
}

/** Digests append-only parts of a draft while they grow. */
export function createFollower(
  directory: string,
  isMeant: (partName: string) => boolean,
  digester: Digester,
): Follower {
  const beginnings = new Map<string, Beginning>();
  const stopped = new AbortController();

  const read = async (part: PartFile): Promise<boolean> => {
    const known = beginnings.get(part.name) ?? { inode: part.inode, digests: [] };
    beginnings.set(part.name, known);
    const first = known.digests.length;
    // Only complete blocks, because the last one still grows.
    const end = Math.min(Math.floor(part.sizeBytes / blockBytes), first + maxBlocksAtOnce);
    if (end <= first || stopped.signal.aborted) return false;
    known.digests.push(...(await digester.digest(part.path, first, end, part.sizeBytes, true)));
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
    digestsOf(part) {
      const known = beginnings.get(part.name);
      const isSame = known?.inode === part.inode && known.digests.length * blockBytes <= part.sizeBytes;
      return isSame ? known.digests : [];
    },
  };
}
