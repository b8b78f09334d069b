import { once } from 'node:events';
import { availableParallelism, constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import { endOfThread } from './digest-job.ts';
import type { DigestAnswer, DigestJob, DigestResult } from './digest-job.ts';

/** With more threads the disk is the bottleneck, and each thread uses some 10 MB. */
const maxThreads = 4;

interface Waiting {
  readonly job: DigestJob;
  readonly resolve: (result: DigestResult) => void;
  readonly reject: (error: Error) => void;
}

/** `background`: nothing waits for the result. One thread with low priority leaves the CPUs to others. */
export type Pace = 'promptly' | 'background';

/** A pool of threads, each with one job at a time. They start when there is work, and are kept. */
export class DigestThreads implements AsyncDisposable {
  readonly count: number;
  readonly #pace: Pace;
  readonly #idle: Worker[] = [];
  readonly #all = new Set<Worker>();
  readonly #queue: Waiting[] = [];

  constructor(pace: Pace) {
    this.#pace = pace;
    this.count = pace === 'promptly' ? Math.min(availableParallelism(), maxThreads) : 1;
  }

  async run(job: DigestJob): Promise<DigestResult> {
    return await new Promise<DigestResult>((resolve, reject) => {
      this.#queue.push({ job, resolve, reject });
      this.#startNext();
    });
  }

  /** Starts missing threads for work that follows soon, because a start takes at least 35 ms. */
  start(): void {
    while (this.#all.size < this.count) this.#idle.push(this.#open());
  }

  /**
   * Asks the threads to end. They are not terminated: in a thread that is just loading koffi, that ends the whole process
   * (`napi_throw`, koffi 3.3.4, Node 24.21).
   */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(
      [...this.#all].map(async (worker) => {
        const ended = once(worker, 'exit');
        worker.ref();
        worker.postMessage(endOfThread);
        await ended;
      }),
    );
  }

  #startNext(): void {
    if (this.#queue.length === 0) return;
    const worker = this.#idle.pop() ?? (this.#all.size < this.count ? this.#open() : undefined);
    const waiting = worker === undefined ? undefined : this.#queue.shift();
    if (worker !== undefined && waiting !== undefined) this.#give(worker, waiting);
  }

  #give(worker: Worker, { job, resolve, reject }: Waiting): void {
    const onExit = (): void => reject(new Error('A thread that computes digests ended.'));
    worker.once('error', reject).once('exit', onExit);
    worker.once('message', (answer: DigestAnswer) => {
      worker.off('error', reject).off('exit', onExit).unref();
      this.#idle.push(worker);
      if (answer.ok) resolve(answer.result);
      else reject(Object.assign(new Error(answer.message), { code: answer.code }));
      this.#startNext();
    });
    // Only a thread with a job keeps the process alive.
    worker.ref();
    worker.postMessage(job);
  }

  #open(): Worker {
    const worker = new Worker(new URL('./digest-worker.mjs', import.meta.url), {
      workerData: { nice: this.#pace === 'promptly' ? 0 : constants.priority.PRIORITY_LOW },
      resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
    });
    worker.unref();
    // The job of the thread gets the error. A thread without a job is only replaced.
    worker.on('error', () => undefined);
    worker.once('exit', () => this.#forget(worker));
    this.#all.add(worker);
    return worker;
  }

  #forget(worker: Worker): void {
    this.#all.delete(worker);
    const index = this.#idle.indexOf(worker);
    if (index >= 0) this.#idle.splice(index, 1);
    this.#startNext();
  }
}
