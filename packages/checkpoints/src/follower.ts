import { setTimeout as delay } from 'node:timers/promises';
import type { Digester } from './digests/digester.ts';
import { blockBytes } from './digests/digest-job.ts';
import type { PartFile } from './part-files.ts';
import { listPartFiles } from './part-files.ts';

const pollMs = 5;
/** Per look at a part, so that one large part does not hold up the others: 64 MiB. */
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

  /** Ends it, once what it just reads is read. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#done;
  }

  /** What is known of a part, after `stop`: nothing, unless it is the same file and no shorter than what was read. */
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
      // Stopped, or a part went away: seal reads for itself what is not known, and says what is wrong.
    }
  }

  /** True when it found something to read. */
  async #look(): Promise<boolean> {
    const parts = (await listPartFiles(this.#directory)).filter((part) => this.#isMeant(part.name));
    const found = await Promise.all(parts.map((part) => this.#read(part)));
    return found.includes(true);
  }

  async #read(part: PartFile): Promise<boolean> {
    const known = this.#beginnings.get(part.name) ?? { inode: part.inode, digests: [] };
    this.#beginnings.set(part.name, known);
    const first = known.digests.length;
    // Only whole blocks: the last one still grows.
    const end = Math.min(Math.floor(part.sizeBytes / blockBytes), first + maxBlocksAtOnce);
    if (end <= first || this.#stopped.signal.aborted) return false;
    known.digests.push(...(await this.#digester.digest(part.path, first, end, part.sizeBytes, true)));
    return true;
  }
}
