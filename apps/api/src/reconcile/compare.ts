import { sleepUnlessAborted } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import { endMissing } from '../lookup/end-missing.ts';
import { listInRunner } from '../lookup/in-runner.ts';
import { settleOwnVolumes } from '../volumes/settle-own-volumes.ts';
import { takeIn } from './take-in.ts';

/** Interval of comparisons between the records and the runner's list, besides the events. Milliseconds. */
const compareEveryMs = 60_000;

/** Compares both lists at intervals until the signal aborts. Never rejects: an unavailable runner is asked again. */
export async function compareUntil(context: ApiContext, signal: AbortSignal): Promise<void> {
  const isStopped = (): boolean => signal.aborted;
  for (;;) {
    await sleepUnlessAborted(compareEveryMs, signal).catch(() => undefined);
    if (isStopped()) return;
    try {
      await compare(context);
    } catch (thrown) {
      if (!isStopped()) context.logger.warn({ err: thrown }, 'records could not be compared with those of the runner');
    }
  }
}

async function compare(context: ApiContext): Promise<void> {
  // Rows are read first. A sandbox that is created between the two reads has no row yet, and for a missing row the
  // runner is only asked again.
  const rows = await context.records.sandboxes.listLive();
  const missing = new Map(rows.map((row) => [row.id, row]));
  for await (const sandbox of listInRunner(context))
    if (!missing.delete(sandbox.sandboxId)) await takeIn(context, sandbox);
  await endMissing(context, missing.values());
  await settleOwnVolumes(context);
}
