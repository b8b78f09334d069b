import { isRunning, sleep, SoulBoxError } from '@soulbox/base';
import { killPids } from '../../cgroup/tree.ts';
import type { PagerJob } from './job.ts';
import type { PagerRecord } from './record.ts';
import { findPagerRecord, removePagerRecord } from './record.ts';
import type { SpareOptions } from './spare.ts';
import { Spare } from './spare.ts';

const endTimeoutMs = 10_000;
const watchMs = 10;

/** How a pager stands. `none`: there has never been one for this restore. */
export type PagerState = PagerRecord['state'] | 'none';

/** A pager that waits for CRIU, or works. It goes on when the server ends. */
export interface Pager {
  /** Resolves when the pager has ended, in whatever way, with how it stands then; never rejects. */
  readonly ended: Promise<PagerState>;
}

/** Starts pagers, some ahead of need: Node takes longer to start than a resume may. */
export class Pagers implements AsyncDisposable {
  readonly #options: SpareOptions & { readonly spares: number };
  readonly #spares = new Set<Spare>();
  #isClosed = false;

  /** `spares`: how many to keep ready; about 20 MB of memory of its own each. */
  constructor(options: SpareOptions & { readonly spares: number }) {
    this.#options = options;
  }

  /** Starts the spares that are missing: to be called once there is something to resume, and after a resume has answered. */
  fill(): void {
    while (!this.#isClosed && this.#spares.size < this.#options.spares) {
      const spare = new Spare(this.#options);
      this.#spares.add(spare);
      void spare.ended.then(() => this.#spares.delete(spare));
    }
  }

  /**
   * Gives a restore its pager; resolves when `criu restore --lazy-pages -D imageDirectory -W workDirectory` may begin.
   * Throws `sandbox_resume_failed`; no process is left then.
   */
  async open(job: PagerJob): Promise<Pager> {
    const [spare = new Spare(this.#options)] = this.#spares;
    this.#spares.delete(spare);
    removePagerRecord(job.workDirectory);
    try {
      await spare.begin(job);
    } catch (error) {
      spare.kill();
      await endPager(job.workDirectory);
      throw new SoulBoxError('sandbox_resume_failed', 'The memory of the sandbox could not be restored.', {
        cause: error,
      });
    }
    return { ended: endedState(spare, job.workDirectory) };
  }

  /** Ends the spares. Pagers at work are left alone. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true;
    const spares = [...this.#spares];
    for (const spare of spares) spare.abandon();
    await Promise.all(spares.map((spare) => spare.ended));
  }
}

/** The worker outlives its guard for a moment, where that was killed. */
async function endedState(spare: Spare, workDirectory: string): Promise<PagerState> {
  await spare.ended;
  return await waitForPager(workDirectory, Infinity);
}

/** How the pager of a restore stands, whichever server started it. One whose processes are all gone was interrupted. */
export function pagerState(workDirectory: string): PagerState {
  const record = findPagerRecord(workDirectory);
  if (record?.state !== 'loading') return record?.state ?? 'none';
  return pidsOf(record).length > 0 ? 'loading' : 'interrupted';
}

/** Waits while the pager works, `timeoutMs` at most; gives how it stands then. Throws when the signal aborts meanwhile. */
export async function waitForPager(
  workDirectory: string,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<PagerState> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const state = pagerState(workDirectory);
    if (state !== 'loading' || Date.now() > deadline) return state;
    signal?.throwIfAborted();
    await sleep(watchMs);
  }
}

/**
 * Ends what is left of a pager, whichever server started it. Only after the sandbox has ended: else its missing memory
 * turns into zeros. Must be done before the same control group is used again. Safe to repeat. Throws after 10 s.
 */
export async function endPager(workDirectory: string): Promise<void> {
  const deadline = Date.now() + endTimeoutMs;
  for (let waitMs = 1; ; waitMs *= 2) {
    const pids = pidsOf(findPagerRecord(workDirectory));
    if (pids.length === 0) return;
    if (Date.now() > deadline) throw new SoulBoxError('internal', 'A pager did not end within 10 s.');
    killPids(pids);
    await sleep(waitMs);
  }
}

/** Who runs of a pager; the guard first, for it would act on the worker's end. */
function pidsOf(record: PagerRecord | undefined): number[] {
  if (record?.state !== 'loading') return [];
  return [record.guard, record.worker, record.sharer].filter(isRunning).map(({ pid }) => pid);
}
