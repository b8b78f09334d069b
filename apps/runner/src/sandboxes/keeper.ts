import type { Clock, Logger } from '@soulbox/base';
import type { Driver } from '@soulbox/isolation';
import type { EndCause } from './end.ts';
import type { Pool } from './pool.ts';
import type { SandboxTable } from './table.ts';

export interface KeeperOptions {
  readonly table: SandboxTable;
  readonly pool: Pool;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly end: (sandboxId: string, cause: EndCause) => Promise<boolean>;
  readonly retryEndings: () => Promise<void>;
  readonly logger: Logger;
}

/** Deadlines are looked at this often, so a sandbox ends at most this much late. */
const deadlineEveryMs = 200;
/** Whether processes still live is looked at this often. */
const liveEveryMs = 1000;
/** Idle pools and endings that failed are looked at this often. */
const sweepEveryMs = 10_000;

/** Ends sandboxes whose time has come or whose processes died. Needs neither the control plane nor any request. */
export function startKeeper(options: KeeperOptions): Disposable {
  const { table, pool, driver, clock, logger } = options;
  const watch = (work: Promise<unknown>): void => {
    work.catch((err: unknown) => {
      logger.error({ err }, 'keeper round failed');
    });
  };

  const deadlines = setInterval(() => {
    const now = clock.now();
    for (const { record } of table.running()) {
      if (now >= record.tenant.endAtMs) watch(options.end(record.sandboxId, 'timeout'));
    }
  }, deadlineEveryMs);

  const lives = setInterval(() => {
    for (const sandbox of table.all()) {
      if (sandbox.record.state !== 'running' && sandbox.record.state !== 'warm') continue;
      if (driver.isAlive(sandbox.instance)) continue;
      logger.warn({ sandboxId: sandbox.record.sandboxId }, 'sandbox died');
      pool.drop(sandbox.record.sandboxId);
      watch(options.end(sandbox.record.sandboxId, 'failed'));
    }
  }, liveEveryMs);

  const sweeps = setInterval(() => {
    watch(pool.sweep(clock.now()));
    watch(options.retryEndings());
  }, sweepEveryMs);

  return {
    [Symbol.dispose]() {
      clearInterval(deadlines);
      clearInterval(lives);
      clearInterval(sweeps);
    },
  };
}
