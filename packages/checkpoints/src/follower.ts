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

/** Digests append-only parts of a draft while they grow. */
export class Follower {
  readonly #directory: string;
  readonly #isMeant: (partName: string) => boolean;
  readonly #digester: Digester;
  readonly #beginnings = new Map<string, Beginning>();
  readonly #stopped = new AbortController();
  readonly #done: Promise<void>;

  constructor(directory: string, isMeant: (partName: string) => boolean, digester: Digester) {
    this.#directory = directory;
    this.#isMeant = isMeant;
    this.#digester = digester;
    this.#done = this.#follow();
  }

  /** Stops after the current read. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#done;
  }

  /**
   * The known digests of a part, after `stop`. Empty unless it is the same file and at least as long as what was read.
   */
  digestsOf(part: PartFile): readonly string[] {
    const known = this.#beginnings.get(part.name);
    const isSame = known?.inode === part.inode && known.digests.length * blockBytes <= part.sizeBytes;
    return isSame ? known.digests : [];
  }

  async #follow(): Promise<void> {
    try {
      while (!this.#stopped.signal.aborted) {
        if (!(await this.#look())) await delay(pollMs, undefined, { signal: this.#stopped.signal });
      }
    } catch {
      // It was stopped, or a part was removed. `seal` reads unknown parts itself, and reports errors.
    }
  }

  /** True when there was something to read. */
  async #look(): Promise<boolean> {
    const parts = (await listPartFiles(this.#directory)).filter((part) => this.#isMeant(part.name));
    const found = await Promise.all(parts.map((part) => this.#read(part)));
    return found.includes(true);
  }

  async #read(part: PartFile): Promise<boolean> {
    const known = this.#beginnings.get(part.name) ?? { inode: part.inode, digests: [] };
    this.#beginnings.set(part.name, known);
    const first = known.digests.length;
    // Only complete blocks, because the last one still grows.
    const end = Math.min(Math.floor(part.sizeBytes / blockBytes), first + maxBlocksAtOnce);
    if (end <= first || this.#stopped.signal.aborted) return false;
    known.digests.push(...(await this.#digester.digest(part.path, first, end, part.sizeBytes, true)));
    return true;
  }
}
