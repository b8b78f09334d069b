import { blockBytes, blockCountOf } from './digest-job.ts';
import type { Pace } from './digest-threads.ts';
import { createDigestThreads } from './digest-threads.ts';
import { forEachAtOnce } from './for-each-at-once.ts';

/** About 10 ms of work: many callers share the threads fairly, and the cost of a message is negligible. */
const blocksPerJob = 16;

export interface Digester extends AsyncDisposable {
  readonly threadCount: number;
  /** Starts the threads for work that follows soon. */
  start(): void;
  /** Digests of the blocks `first` to `end - 1` of a file that has, or will have, `sizeBytes`. */
  digest(path: string, first: number, end: number, sizeBytes: number, writeBack?: boolean): Promise<string[]>;
  /** Numbers of the blocks of a sparse file that hold data. */
  findData(path: string): Promise<number[]>;
  /** Digests of all blocks of a sparse file. Blocks that are not in `data` are holes and get the empty string. */
  digestSparse(path: string, sizeBytes: number, data: readonly number[]): Promise<string[]>;
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
      found.forEach((value, index) => (digests[start - first + index] = String(value)));
    });
    return digests;
  };

  return {
    threadCount,
    start: () => threads.start(),
    digest,
    async findData(path) {
      return (await threads.run({ kind: 'find-data', path, blockBytes })).map(Number);
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
