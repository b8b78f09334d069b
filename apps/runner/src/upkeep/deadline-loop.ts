import type { Clock, Logger } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import type { Activity } from '../metrics/activity.ts';
import type { Blueprint } from '../processes/blueprint.ts';
import type { Pool } from '../pool/pool.ts';
import { isSpare } from '../registry/table.ts';
import type { KnownSandbox, Live, RunningSandbox, SandboxTable } from '../registry/table.ts';

export interface DeadlineLoopOptions {
  readonly table: SandboxTable;
  readonly pool: Pool;
  readonly activity: Activity;
  readonly clock: Clock;
  readonly end: (sandboxId: string, cause: Cause) => Promise<boolean>;
  /** What a sandbox wants to happen at its deadline, or when it was idle for long. */
  readonly onDeadline: (sandbox: RunningSandbox, cause: 'timeout' | 'idle') => Promise<void>;
  /** Whether nobody can ask for spares of it any more. */
  readonly isGone: (blueprint: Blueprint) => boolean;
  /** Tries again what failed half-way: endings and pauses. */
  readonly retry: () => Promise<void>;
  readonly logger: Logger;
}

/** Deadlines are looked at this often, so a sandbox ends at most this much late. */
const deadlineEveryMs = 200;
/** Whether processes still live is looked at this often. */
const liveEveryMs = 1000;
/** Idle pools and steps that failed are looked at this often. */
const sweepEveryMs = 10_000;

/** Ends or pauses sandboxes whose time has come or whose processes died. Needs neither the control plane nor any request. */
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
      // One that is busy with a step is looked at again when that is done.
      if (table.isBusy(sandbox.record.sandboxId)) continue;
      if (now >= sandbox.record.tenant.endAtMs) watch(options.onDeadline(sandbox, 'timeout'));
      else if (isIdle(sandbox, options.activity)) watch(options.onDeadline(sandbox, 'idle'));
    }
  }, deadlineEveryMs);

  const lives = setInterval(() => {
    for (const sandbox of table.all()) {
      const { record, live } = sandbox;
      if (record.state !== 'running' && !isWaiting(sandbox)) continue;
      if (live?.driver.isAlive(live.instance) === true) continue;
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

/** A spare that is still being made has no processes that could have died. */
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
