import { sleepUnlessAborted } from '@soulbox/base';
import { purgeFiles } from './build-files/purge.ts';
import type { ApiContext } from './context.ts';
import { waitingBuildMs } from './limits.ts';
import { dayOf } from './quotas/day.ts';

const everyMs = 10 * 60 * 1000;
/** Rows per statement: the database must not be locked for long. */
const batch = 500;

/** How long the list of a team shows signing keys that have ended. */
const signingKeyHours = 24;

/** How long the figures of a day are kept. */
const consumptionHours = 400 * 24;

const neverStarted = { message: 'The build was abandoned because it was never started.', step: '' };

/** Deletes records that are older than the configured times, at intervals until the server stops. */
export async function purgeUntilStop(context: ApiContext): Promise<void> {
  const { records, config } = context;
  const isStopped = (): boolean => context.stopping.aborted;
  while (!isStopped()) {
    try {
      await purgeOlder(context, config.endedRetentionHours, (...args) => records.sandboxes.purgeEnded(...args));
      await purgeOlder(context, config.eventRetentionHours, (...args) => records.events.purge(...args));
      await purgeOlder(context, config.connectionRetentionHours, (...args) => records.connections.purge(...args));
      await purgeBeyond(context);
      await purgeOlder(context, config.buildRetentionHours, (...args) => records.builds.purge(...args));
      await purgeOlder(context, config.buildFileRetentionHours, (...args) => purgeFiles(context, ...args));
      await purgeOlder(context, 0, (...args) => records.usedNonces.purge(...args));
      await purgeOlder(context, 0, (...args) => records.idempotency.purge(...args));
      await purgeOlder(context, consumptionHours, (before, limit) => records.quotas.purgeDays(dayOf(before), limit));
      await purgeOlder(context, signingKeyHours, (...args) => records.signingKeys.purge(...args));
      await purgeOlder(context, 0, (...args) => records.identityKeys.purge(...args));
      await purgeOlder(context, 0, (...args) => records.sessions.purge(...args));
      await purgeOlder(context, 0, (...args) => records.personalTokens.purge(...args));
      await records.builds.giveUp(context.clock.now() - waitingBuildMs, neverStarted, context.clock.now());
    } catch (thrown) {
      if (!isStopped()) context.logger.warn({ err: thrown }, 'old records could not be purged');
    }
    await sleepUnlessAborted(everyMs, context.stopping).catch(() => undefined);
  }
}

type Purge = (before: number, limit: number) => Promise<number>;

async function purgeOlder(context: ApiContext, hours: number, purge: Purge): Promise<void> {
  const before = context.clock.now() - hours * 3600 * 1000;
  while ((await purge(before, batch)) === batch) await sleepUnlessAborted(50, context.stopping);
}

/** A team above its limit of events keeps the newest. */
async function purgeBeyond({ records, config, logger, stopping }: ApiContext): Promise<void> {
  let dropped = 0;
  for (let count = batch; count > 0; dropped += count) {
    count = await records.events.purgeBeyond(config.teamEventLimit, batch);
    if (count === batch) await sleepUnlessAborted(50, stopping);
  }
  if (dropped > 0) logger.warn({ dropped }, 'events removed early: a team exceeds its limit');
}
