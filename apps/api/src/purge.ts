import { sleep } from '@soulbox/base';
import type { ApiContext } from './context.ts';

const everyMs = 10 * 60 * 1000;
/** Rows of one statement: the database must not be locked for long. */
const batch = 500;

/** Forgets sandboxes that ended longer ago than the configuration says, now and then until the server stops. */
export async function purgeEndedUntilStop(context: ApiContext): Promise<void> {
  const isStopped = (): boolean => context.stopping.aborted;
  while (!isStopped()) {
    const before = context.clock.now() - context.config.endedRetentionHours * 3600 * 1000;
    try {
      while ((await context.records.sandboxes.purgeEnded(before, batch)) === batch) await sleep(50, context.stopping);
    } catch (thrown) {
      if (!isStopped()) context.logger.warn({ err: thrown }, 'ended sandboxes could not be purged');
    }
    await sleep(everyMs, context.stopping).catch(() => undefined);
  }
}
