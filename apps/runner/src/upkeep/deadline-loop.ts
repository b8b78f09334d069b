import type { Clock, Logger } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import type { Activity } from '../metrics/activity.ts';
import type { Blueprint } from '../processes/blueprint.ts';
import type { Pool } from '../pool/pool.ts';
import { createLifeCheck } from './life-check.ts';
import { isSpare } from '../registry/table.ts';
import type { KnownSandbox, Live, RunningSandbox, SandboxTable } from '../registry/table.ts';

export interface DeadlineLoopOptions {
  readonly table: SandboxTable;
  readonly pool: Pool;
  readonly activity: Activity;
  readonly clock: Clock;
  readonly end: (sandboxId: string, cause: Cause) => Promise<boolean>;
  /** Called for a sandbox at its deadline, or when it was idle for too long. */
  readonly onDeadline: (sandbox: RunningSandbox, cause: 'timeout' | 'idle') => Promise<void>;
  /** Whether the blueprint no longer exists, so that its spares are useless. */
  readonly isGone: (blueprint: Blueprint) => boolean;
  /** Retries what failed half-way: endings and pauses. */
  readonly retry: () => Promise<void>;
  readonly logger: Logger;
}

/** Interval of the check of deadlines. A sandbox ends at most this late. */
const deadlineEveryMs = 200;
/** Interval of the check whether processes are alive. */
const liveEveryMs = 1000;
/** Interval of the sweep of idle pools and failed steps. */
const sweepEveryMs = 10_000;

/**
 * Ends or pauses sandboxes at their deadline, and ends those whose processes died. Needs neither the control plane nor
 * a request.
 */
export function startDeadlineLoop(options: DeadlineLoopOptions): Disposable {
  const { table, pool, clock, logger } = options;
  const watch = (work: Promise<unknown>): void => {
    work.catch((err: unknown) => {
      logger.error({ err }, 'deadline round failed');
    });
  };

  const deadlines = setInterval(() => {
    const now = clock.now();
    for (const sandbox of table.running()) {
      // A sandbox that is busy with a step is checked again after it.
      if (table.isBusy(sandbox.record.sandboxId)) continue;
      if (now >= sandbox.record.tenant.endAtMs) watch(options.onDeadline(sandbox, 'timeout'));
      else if (isIdle(sandbox, options.activity)) watch(options.onDeadline(sandbox, 'idle'));
    }
  }, deadlineEveryMs);

  const isAlive = createLifeCheck(clock);
  const lives = setInterval(() => {
    for (const sandbox of table.all()) {
      const { record, live } = sandbox;
      if (record.state !== 'running' && !isWaiting(sandbox)) continue;
      if (live !== undefined && isAlive(live)) continue;
      logger.warn({ sandboxId: record.sandboxId }, 'sandbox died');
      pool.drop(record.sandboxId);
      watch(endDead(options, record.sandboxId, live));
    }
  }, liveEveryMs);

  const sweeps = setInterval(() => {
    watch(pool.sweep(clock.now(), options.isGone));
    watch(options.retry());
  }, sweepEveryMs);

  return {
    [Symbol.dispose]() {
      clearInterval(deadlines);
      clearInterval(lives);
      clearInterval(sweeps);
    },
  };
}

/** A spare that is still being made has no processes yet. */
function isWaiting(sandbox: KnownSandbox): boolean {
  return isSpare(sandbox) && sandbox.live !== undefined;
}

async function endDead({ end }: DeadlineLoopOptions, sandboxId: string, live: Live | undefined): Promise<void> {
  const why = await live?.driver.whyEnded(sandboxId, live.instance.directory);
  await end(sandboxId, why ?? 'failed');
}

function isIdle({ record }: RunningSandbox, activity: Activity): boolean {
  const { idleTimeoutSeconds } = record.tenant.lifecycle;
  return idleTimeoutSeconds > 0 && activity.idleMs(record.sandboxId) >= idleTimeoutSeconds * 1000;
}
