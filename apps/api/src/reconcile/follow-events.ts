import { SoulBoxError, sleepUnlessAborted } from '@soulbox/base';
import { errorFromConnect } from '@soulbox/contract/connect-errors';
import type { WatchEventsResponse } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import { settleOwnVolumes } from '../volumes/settle-own-volumes.ts';
import { settleSnapshots } from './settle-snapshots.ts';
import { endMissing } from '../lookup/end-missing.ts';
import { compareUntil } from './compare.ts';
import { putSandbox, takeIn } from './take-in.ts';
import { causeFromRunner } from '../runner/sandbox-facts.ts';

const backOffMinMs = 100;
const backOffMaxMs = 5000;

export interface EventFollower extends AsyncDisposable {
  /** Resolves after the first comparison of records and runner. Never rejects. */
  readonly synced: Promise<void>;
}

/**
 * Keeps the records consistent with the runner while the server runs.
 *
 * Each connection starts with the runner's current sandboxes, which are reconciled with the rows (take-in.ts). Only
 * rows that were read *before* the connection are ended in this way: a sandbox that is created meanwhile may be missing
 * from the list without being gone. Then snapshots are compared. After that every change is applied as it arrives, with
 * row and lifecycle event in one step. When the stream breaks, rows stay unchanged (deadlines still apply) and the next
 * connection compares again. The lists are also compared once a minute.
 */
export function followRunnerEvents(context: ApiContext): EventFollower {
  const stop = new AbortController();
  let markSynced = (): void => undefined;
  const synced = new Promise<void>((resolve) => {
    markSynced = resolve;
  });
  const stopped = AbortSignal.any([stop.signal, context.stopping]);
  const loops = [followUntil(context, stopped, () => markSynced()), compareUntil(context, stopped)];
  return {
    synced,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      await Promise.all(loops);
      markSynced();
    },
  };
}

async function followUntil(context: ApiContext, signal: AbortSignal, onSynced: () => void): Promise<void> {
  const isStopped = (): boolean => signal.aborted;
  let failures = 0;
  while (!isStopped()) {
    try {
      await followOnce(context, signal, () => {
        failures = 0;
        onSynced();
      });
    } catch (thrown) {
      if (isStopped()) return;
      // Logged once per interruption, not per attempt to reconnect.
      if (failures === 0) context.logger.warn({ err: thrown }, 'runner events interrupted');
    }
    const waitMs = Math.min(backOffMaxMs, backOffMinMs * 2 ** failures) * (0.5 + Math.random() / 2);
    failures = Math.min(failures + 1, 10);
    await sleepUnlessAborted(waitMs, signal).catch(() => undefined);
  }
}

async function followOnce(context: ApiContext, signal: AbortSignal, onSynced: () => void): Promise<void> {
  const missing = new Map((await context.records.sandboxes.listLive()).map((row) => [row.id, row]));
  let syncing = true;
  try {
    for await (const { event } of context.runner.watchEvents({}, { signal })) {
      if (syncing && event.case === 'created' && event.value.sandbox !== undefined) {
        missing.delete(event.value.sandbox.sandboxId);
        await takeIn(context, event.value.sandbox);
      } else if (syncing && event.case === 'snapshotDone') {
        syncing = false;
        await endMissing(context, missing.values());
        onSynced();
        await settleSnapshots(context);
        await settleOwnVolumes(context);
      } else await applyEvent(context, event);
    }
  } catch (thrown) {
    throw errorFromConnect(thrown);
  }
  if (!signal.aborted) throw new SoulBoxError('runner_unavailable', 'The runner closed the event stream.');
}

async function applyEvent(context: ApiContext, event: WatchEventsResponse['event']): Promise<void> {
  switch (event.case) {
    case 'created':
    case 'updated':
      if (event.value.sandbox !== undefined) await putSandbox(context, event.value.sandbox);
      return;
    case 'ended': {
      const { sandboxId, cause } = event.value;
      await context.records.sandboxes.end(sandboxId, causeFromRunner(cause, 'failed'), context.clock.now());
      context.logger.info({ sandboxId, cause }, 'sandbox ended');
      return;
    }
    case 'checkpointed':
      // The event of a snapshot is written with the snapshot's row, so that it survives a broken stream.
      if (event.value.snapshotId === '')
        await context.records.events.addCheckpoint(event.value.sandboxId, context.clock.now());
      return;
    default:
  }
}
