import { sleep } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import { endMissing } from '../lookup/end-missing.ts';
import { listInRunner } from '../lookup/in-runner.ts';
import { takeIn } from './take-in.ts';

/** How often the records are compared with the runner's list while their connection holds. Milliseconds. */
const compareEveryMs = 60_000;

/** Compares both lists now and then, until the signal aborts. Never rejects: an absent runner is asked again. */
export async function compareUntil(context: ApiContext, signal: AbortSignal): Promise<void> {
  const isStopped = (): boolean => signal.aborted;
  for (;;) {
    await sleep(compareEveryMs, signal).catch(() => undefined);
    if (isStopped()) return;
    try {
      await compare(context);
    } catch (thrown) {
      if (!isStopped()) context.logger.warn({ err: thrown }, 'records could not be compared with those of the runner');
    }
  }
}

async function compare(context: ApiContext): Promise<void> {
  // Rows first: what is made between the two questions has no row yet, and a missing row is only asked for.
  const rows = await context.records.sandboxes.listLive();
  const missing = new Map(rows.map((row) => [row.id, row]));
  for await (const sandbox of listInRunner(context))
    if (!missing.delete(sandbox.sandboxId)) await takeIn(context, sandbox);
  await endMissing(context, missing.values());
}
