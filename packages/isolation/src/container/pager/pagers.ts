import { setTimeout as sleep } from 'node:timers/promises';
import { isRunning, SoulBoxError } from '@soulbox/base';
import { killPids } from '../../cgroup/tree.ts';
import type { PagerJob } from './job.ts';
import type { PagerRecord } from './record.ts';
import { findPagerRecord, removePagerRecord } from './record.ts';
import type { Spare, SpareOptions } from './spare.ts';
import { createSpare } from './spare.ts';

const endTimeoutMs = 10_000;
const watchMs = 10;

/** The status of a pager. `none`: there has never been one for this restore. */
export type PagerState = PagerRecord['state'] | 'none';

/** A pager that waits for CRIU, or works. It continues when the server ends. */
export interface Pager {
  /** Resolves with the pager's status when it has ended for any reason; never rejects. */
  readonly ended: Promise<PagerState>;
}

export interface Pagers extends AsyncDisposable {
  /** Starts the missing spares. Call it once there is something to resume, and after a resume has returned. */
  fill(): void;
  /**
   * Provides a pager for a restore; resolves when `criu restore --lazy-pages -D imageDirectory -W workDirectory` may
   * begin. Throws `sandbox_resume_failed`; then no process is left.
   */
  open(job: PagerJob): Promise<Pager>;
  /** Ends the spares. Working pagers continue. */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts pagers, some in advance: Node takes longer to start than a resume may. `spares`: how many to keep ready; each
 * has about 20 MB of private memory.
 */
export function createPagers(options: SpareOptions & { readonly spares: number }): Pagers {
  const spares = new Set<Spare>();
  let isClosed = false;
  return {
    fill() {
      while (!isClosed && spares.size < options.spares) {
        let spare: Spare;
        try {
          spare = createSpare(options);
        } catch {
          // The host has no memory or descriptors for it now. The next restore starts its own, and reports why it cannot.
          return;
        }
        spares.add(spare);
        void spare.ended.then(() => spares.delete(spare));
      }
    },
    async open(job) {
      const [spare = createSpare(options)] = spares;
      spares.delete(spare);
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
    },
    async [Symbol.asyncDispose]() {
      isClosed = true;
      const rest = [...spares];
      for (const spare of rest) spare.abandon();
      await Promise.all(rest.map((spare) => spare.ended));
    },
  };
}

/** If the guard was killed, the worker outlives it for a moment. */
async function endedState(spare: Spare, workDirectory: string): Promise<PagerState> {
  await spare.ended;
  return await waitForPager(workDirectory, Infinity);
}

/**
 * The status of a restore's pager, whichever server started it. A pager whose processes are all gone was interrupted.
 */
export function pagerState(workDirectory: string): PagerState {
  const record = findPagerRecord(workDirectory);
  if (record?.state !== 'loading') return record?.state ?? 'none';
  return pidsOf(record).length > 0 ? 'loading' : 'interrupted';
}

/**
 * Waits while the pager works, at most `timeoutMs`, and returns its status then. Throws if the signal aborts meanwhile.
 */
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
 * Ends the remaining processes of a pager, whichever server started it. Only after the sandbox has ended: otherwise its
 * missing memory turns into zeros. Must be done before the same control group is used again. Can be repeated. Throws
 * after 10 s.
 */
export async function endPager(workDirectory: string): Promise<void> {
  const deadline = Date.now() + endTimeoutMs;
  for (let waitMs = 1; ; waitMs *= 2) {
    const record = findPagerRecord(workDirectory);
    if (record?.state !== 'loading' || pidsOf(record).length === 0) return;
    if (Date.now() > deadline) throw new SoulBoxError('internal', 'A pager did not end within 10 s.');
    // The whole process group: a script with which the guard ends the sandbox must not outlive it.
    killPids([-record.guard.pid]);
    await sleep(waitMs);
  }
}

/** The running processes of a pager. They are one process group, which the guard leads. */
function pidsOf(record: PagerRecord | undefined): number[] {
  if (record?.state !== 'loading') return [];
  return [record.guard, record.worker, record.sharer].filter((one) => isRunning(one)).map(({ pid }) => pid);
}
