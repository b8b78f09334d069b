import { once } from 'node:events';
import { availableParallelism, constants } from 'node:os';
import { Worker } from 'node:worker_threads';
import { endOfThread } from './digest-job.ts';
import type { DigestAnswer, DigestJob, DigestResult } from './digest-job.ts';

/** With more threads the disk is the bottleneck, and each thread uses some 10 MB. */
const maxThreads = 4;

/** A checkpoint has some 60 parts of a few KiB: a message for each costs more than the work. */
const smallBytes = 64 * 1024;
const smallJobsAtOnce = 16;

interface Waiting {
  readonly job: DigestJob;
  readonly resolve: (result: DigestResult) => void;
  readonly reject: (error: Error) => void;
}

/** `background`: nothing waits for the result. One thread with low priority leaves the CPUs to others. */
export type Pace = 'promptly' | 'background';

export interface DigestThreads extends AsyncDisposable {
  readonly count: number;
  run<Job extends DigestJob>(job: Job): Promise<DigestResult<Job['kind']>>;
  /** Starts missing threads for work that follows soon, because a start takes at least 35 ms. */
  start(): void;
  /**
   * Asks the threads to end. They are not terminated: in a thread that is just loading koffi, that ends the whole process
   * (`napi_throw`, koffi 3.3.4, Node 24.21).
   */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A pool of threads, each with one job, or several small ones, at a time. They start when there is work, and are kept. */
export function createDigestThreads(pace: Pace): DigestThreads {
  const count = pace === 'promptly' ? Math.min(availableParallelism(), maxThreads) : 1;
  const idle: Worker[] = [];
  const all = new Set<Worker>();
  const queue: Waiting[] = [];

  const startNext = (): void => {
    if (queue.length === 0) return;
    const worker = idle.pop() ?? (all.size < count ? open() : undefined);
    if (worker !== undefined) give(worker, takeFrom(queue, count));
  };

  const give = (worker: Worker, taken: readonly Waiting[]): void => {
    const rejectAll = (error: Error): void => taken.forEach(({ reject }) => reject(error));
    const onExit = (): void => rejectAll(new Error('A thread that computes digests ended.'));
    worker.once('error', rejectAll).once('exit', onExit);
    worker.once('message', (answers: readonly DigestAnswer[]) => {
      worker.off('error', rejectAll).off('exit', onExit).unref();
      idle.push(worker);
      answers.forEach((answer, index) => settle(taken[index], answer));
      startNext();
    });
    // Only a thread with a job keeps the process alive.
    worker.ref();
    worker.postMessage(taken.map(({ job }) => job));
  };

  const open = (): Worker => {
    const worker = openWorker(pace);
    worker.once('exit', () => forget(worker));
    all.add(worker);
    return worker;
  };

  const forget = (worker: Worker): void => {
    all.delete(worker);
    const index = idle.indexOf(worker);
    if (index >= 0) idle.splice(index, 1);
    startNext();
  };

  return {
    count,
    async run<Job extends DigestJob>(job: Job) {
      const result = await new Promise<DigestResult>((resolve, reject) => {
        queue.push({ job, resolve, reject });
        startNext();
      });
      // The thread gives the result of this kind of job.
      return result as DigestResult<Job['kind']>;
    },
    start() {
      while (all.size < count) idle.push(open());
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([...all].map(endWorker));
    },
  };
}

/** The first job. If it is small, also the next ones that are, but the other threads get their share of them. */
function takeFrom(queue: Waiting[], threadCount: number): Waiting[] {
  const isSmall = ({ job }: Waiting): boolean => job.kind !== 'find-data' && job.length <= smallBytes;
  const most = Math.min(smallJobsAtOnce, Math.ceil(queue.length / threadCount));
  const others = queue.slice(0, most).findIndex((waiting) => !isSmall(waiting));
  return queue.splice(0, others === -1 ? most : Math.max(others, 1));
}

function settle(waiting: Waiting | undefined, answer: DigestAnswer): void {
  if (answer.ok) waiting?.resolve(answer.result);
  else waiting?.reject(Object.assign(new Error(answer.message), { code: answer.code }));
}

function openWorker(pace: Pace): Worker {
  const worker = new Worker(new URL('./digest-worker.mjs', import.meta.url), {
    workerData: { nice: pace === 'promptly' ? 0 : constants.priority.PRIORITY_LOW },
    resourceLimits: { maxOldGenerationSizeMb: 32, maxYoungGenerationSizeMb: 2 },
  });
  worker.unref();
  // The job of the thread gets the error. A thread without a job is only replaced.
  worker.on('error', () => undefined);
  return worker;
}

async function endWorker(worker: Worker): Promise<void> {
  const ended = once(worker, 'exit');
  worker.ref();
  worker.postMessage(endOfThread);
  await ended;
}
