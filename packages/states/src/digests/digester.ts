import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { DigestAnswer, DigestJob, DigestResult } from './digest-job.ts';
import { blockCountOf } from './digest-job.ts';
import { forEachAtOnce } from './for-each-at-once.ts';

/** About 10 ms of work: many callers share the threads fairly, and the cost of a message does not show. */
const blocksPerJob = 16;
/** Beyond it the disk is the limit, and each thread costs some 5 MiB. */
const maxThreads = 4;

interface Waiting {
  readonly job: DigestJob;
  readonly resolve: (result: DigestResult) => void;
  readonly reject: (error: Error) => void;
}

/** Computes digests in background threads, which start with the first job. Dispose it when no call is under way. */
export class Digester implements AsyncDisposable {
  readonly threadCount = Math.min(availableParallelism(), maxThreads);
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #queue: Waiting[] = [];

  /** Digests of blocks `first` to `end - 1` of a file that has, or will have, `sizeBytes`. */
  async digest(path: string, first: number, end: number, sizeBytes: number, writeBack = false): Promise<string[]> {
    const starts = Array.from({ length: Math.ceil((end - first) / blocksPerJob) }, (_, i) => first + i * blocksPerJob);
    const digests: string[] = new Array<string>(end - first);
    await forEachAtOnce(this.threadCount, starts, async (start) => {
      const count = Math.min(blocksPerJob, end - start);
      const found = await this.#run({ kind: 'digest', path, first: start, count, sizeBytes, writeBack });
      found.forEach((value, index) => (digests[start - first + index] = String(value)));
    });
    return digests;
  }

  /** Numbers of the blocks of a sparse file that hold data. */
  async findData(path: string): Promise<number[]> {
    return (await this.#run({ kind: 'find-data', path })).map(Number);
  }

  /** Digests of all blocks of a sparse file, of which `data` are to be read; the empty string stands for a block that is a hole. */
  async digestSparse(path: string, sizeBytes: number, data: readonly number[]): Promise<string[]> {
    const digests = new Array<string>(blockCountOf(sizeBytes)).fill('');
    const runs = runsOf(data);
    await forEachAtOnce(this.threadCount, runs, async ([first, end]) => {
      const found = await this.digest(path, first, end, sizeBytes);
      found.forEach((value, index) => (digests[first + index] = value));
    });
    return digests;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#all].map((worker) => worker.terminate()));
  }

  async #run(job: DigestJob): Promise<DigestResult> {
    return await new Promise<DigestResult>((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#startNext();
    });
  }

  #startNext(): void {
    const worker = this.#idle.pop() ?? (this.#all.size < this.threadCount ? this.#open() : undefined);
    if (worker === undefined) return;
    const waiting = this.#queue.shift();
    if (waiting === undefined) this.#idle.push(worker);
    else this.#give(worker, waiting);
  }

  #give(worker: Worker, { job, resolve, reject }: Waiting): void {
    const onExit = (): void => reject(new Error('The thread that computes digests ended.'));
    worker.once('exit', onExit);
    worker.once('message', (answer: DigestAnswer) => {
      worker.off('exit', onExit);
      worker.unref();
      this.#idle.push(worker);
      if (answer.ok) resolve(answer.result);
      else reject(Object.assign(new Error(answer.message), { code: answer.code }));
      this.#startNext();
    });
    // Only work under way keeps the process alive.
    worker.ref();
    worker.postMessage(job);
  }

  #open(): Worker {
    const worker = new Worker(new URL('./digest-worker.ts', import.meta.url), {
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    });
    worker.on('error', () => undefined);
    worker.once('exit', () => this.#forget(worker));
    this.#all.add(worker);
    return worker;
  }

  #forget(worker: Worker): void {
    this.#all.delete(worker);
    const index = this.#idle.indexOf(worker);
    if (index >= 0) this.#idle.splice(index, 1);
    if (this.#queue.length > 0) this.#startNext();
  }
}

/** `[first, end)` of each stretch of neighbours in rising numbers. */
function runsOf(numbers: readonly number[]): [number, number][] {
  const runs: [number, number][] = [];
  for (const number of numbers) {
    const last = runs.at(-1);
    if (last?.[1] === number) last[1] = number + 1;
    else runs.push([number, number + 1]);
  }
  return runs;
}
