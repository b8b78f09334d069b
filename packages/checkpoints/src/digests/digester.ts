import { blockBytes, blockCountOf } from './digest-job.ts';
import type { Encrypted } from './digest-job.ts';
import type { Pace } from './digest-threads.ts';
import { createDigestThreads } from './digest-threads.ts';
import { forEachAtOnce } from './for-each-at-once.ts';
import type { PartCipher } from './part-cipher.ts';

/** About 10 ms of work: many callers share the threads fairly, and the cost of a message is negligible. */
const blocksPerJob = 16;

export interface Digester extends AsyncDisposable {
  readonly threadCount: number;
  /** Starts the threads for work that follows soon. */
  start(): void;
  /** Digests of the blocks `first` to `end - 1` of a file that has, or will have, `sizeBytes`. */
  digest(path: string, first: number, end: number, sizeBytes: number, writeBack?: boolean): Promise<string[]>;
  /**
   * Encrypts the blocks `first` to `end - 1` of a file that has, or will have, `sizeBytes` into `target`. With
   * `punch`, the file is freed meanwhile: after an error, blocks whose seals are lost may be freed.
   */
  encrypt(copy: CipherCopy, first: number, end: number, punch: boolean): Promise<Encrypted>;
  /**
   * Writes the blocks that match their seals into `target`, and gives it this mode. Gives the number of the first that
   * does not match.
   */
  decrypt(copy: CipherCopy, seals: readonly string[], mode?: number): Promise<number | undefined>;
  /** Numbers of the blocks of a sparse file that hold data. */
  findData(path: string): Promise<number[]>;
  /** Digests of all blocks of a sparse file. Blocks that are not in `data` are holes and get the empty string. */
  digestSparse(path: string, sizeBytes: number, data: readonly number[]): Promise<string[]>;
}

export interface CipherCopy {
  readonly path: string;
  readonly target: string;
  readonly sizeBytes: number;
  readonly cipher: PartCipher;
  /** Of the file at `path`. For `encrypt`, which throws for another one. */
  readonly inode?: number;
}

/** Computes digests of files in background threads. Dispose it when no call is in progress. */
export function createDigester(pace: Pace = 'promptly'): Digester {
  const threads = createDigestThreads(pace);
  const threadCount = threads.count;

  const digest: Digester['digest'] = async (path, first, end, sizeBytes, writeBack = false) => {
    const starts = Array.from({ length: Math.ceil((end - first) / blocksPerJob) }, (_, i) => first + i * blocksPerJob);
    const digests: string[] = new Array<string>(end - first);
    await forEachAtOnce(threadCount, starts, async (start) => {
      const offset = start * blockBytes;
      const length = Math.min(Math.min(start + blocksPerJob, end) * blockBytes, sizeBytes) - offset;
      const found = await threads.run({ kind: 'digest', path, offset, length, blockBytes, writeBack });
      found.forEach((value, index) => (digests[start - first + index] = value));
    });
    return digests;
  };

  /** Runs a job for each range of blocks. */
  const inRanges = async (
    first: number,
    end: number,
    act: (start: number, places: readonly number[]) => Promise<void>,
  ): Promise<void> => {
    // Few blocks also go to all threads, because a pause or a resume waits for them.
    const size = Math.max(1, Math.min(blocksPerJob, Math.ceil((end - first) / threadCount)));
    const starts = Array.from({ length: Math.ceil((end - first) / size) }, (_, i) => first + i * size);
    await forEachAtOnce(threadCount, starts, async (start) => {
      await act(
        start,
        Array.from({ length: Math.min(size, end - start) }, (_, i) => start + i),
      );
    });
  };
  const rangeOf = ({ path, target, sizeBytes, cipher }: CipherCopy, blocks: readonly number[]) => {
    const offset = (blocks[0] ?? 0) * blockBytes;
    const length = Math.min(offset + blocks.length * blockBytes, sizeBytes) - offset;
    return { path, target, offset, length, blockBytes, key: cipher.key, places: blocks.map((n) => cipher.placeOf(n)) };
  };

  return {
    threadCount,
    start: () => threads.start(),
    digest,
    async encrypt(copy, first, end, punch) {
      const seals: string[] = new Array<string>(end - first);
      let isFreed = punch;
      await inRanges(first, end, async (start, blocks) => {
        const made = await threads.run({ kind: 'encrypt', ...rangeOf(copy, blocks), punch, inode: copy.inode });
        made.seals.forEach((seal, index) => (seals[start - first + index] = seal));
        isFreed &&= made.isFreed;
      });
      return { seals, isFreed };
    },
    async decrypt(copy, seals, mode) {
      const wrong: number[] = [];
      await inRanges(0, seals.length, async (start, blocks) => {
        const job = {
          ...rangeOf(copy, blocks),
          seals: seals.slice(start, start + blocks.length),
          ...(mode === undefined ? {} : { mode }),
        };
        for (const index of await threads.run({ kind: 'decrypt', ...job })) wrong.push(start + index);
      });
      return wrong.length === 0 ? undefined : Math.min(...wrong);
    },
    async findData(path) {
      return [...(await threads.run({ kind: 'find-data', path, blockBytes }))];
    },
    async digestSparse(path, sizeBytes, data) {
      const digests = new Array<string>(blockCountOf(sizeBytes)).fill('');
      const runs = runsOf(data);
      await forEachAtOnce(threadCount, runs, async ([first, end]) => {
        const found = await digest(path, first, end, sizeBytes);
        found.forEach((value, index) => (digests[first + index] = value));
      });
      return digests;
    },
    async [Symbol.asyncDispose]() {
      await threads[Symbol.asyncDispose]();
    },
  };
}

/** The ranges `[first, end)` of consecutive numbers in a sorted list. */
function runsOf(numbers: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.[1] === number) last[1] = number + 1;
    else runs.push([number, number + 1]);
  }
  return runs;
}
