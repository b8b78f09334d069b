import { sleepUnlessAborted } from '@soulbox/base';
import type { SandboxRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { settleUsage } from './settle.ts';
import type { Hold } from './settle.ts';
import { stopSandbox } from './stop-sandbox.ts';

/** Sandboxes that are stopped at the same time: each pause writes a whole memory. */
const concurrency = 4;
/** A sandbox that could not be stopped is tried again after this time. */
const respiteMs = 30_000;

/**
 * Counts what sandboxes use, and stops those that have used up a budget, at intervals until the server stops. Never
 * rejects: while the runner is away, nothing is counted, and the runner keeps the counters.
 */
export async function enforceBudgetsUntilStop(context: ApiContext): Promise<void> {
  const isStopped = (): boolean => context.stopping.aborted;
  const enforce = createEnforcer(context);
  let failures = 0;
  while (!isStopped()) {
    try {
      await enforce();
      failures = 0;
    } catch (thrown) {
      // Logged once per interruption.
      if (failures++ === 0 && !isStopped())
        context.logger.warn({ err: thrown }, 'usage of sandboxes could not be counted');
    }
    await sleepUnlessAborted(context.config.budgetIntervalMs, context.stopping).catch(() => undefined);
  }
}

/** One round: count, find who has used up a budget, tell the runner, stop their sandboxes. */
export function createEnforcer(context: ApiContext): () => Promise<void> {
  const recorded = new Set<string>();
  /** When sandboxes that could not be stopped are tried again. */
  const respites = new Map<string, number>();
  return async () => {
    await settleUsage(context, await context.quotas.listSpent(), recorded);
    const holds = await context.quotas.listSpent();
    if (holds.length === 0) return;
    // First nothing more may start: otherwise a request would wake each sandbox again.
    await settleUsage(context, holds, recorded);
    const now = context.clock.now();
    const waiting = (await findHeld(context, holds)).filter(({ record }) => (respites.get(record.id) ?? 0) <= now);
    for (const [id, until] of respites) if (until <= now) respites.delete(id);
    const worker = async (): Promise<void> => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const isStopped = await stopSandbox(context, next.record, next.message);
        if (!isStopped) respites.set(next.record.id, now + respiteMs);
      }
    };
    await Promise.all(Array.from({ length: concurrency }, worker));
  };
}

async function findHeld(
  context: ApiContext,
  holds: readonly Hold[],
): Promise<{ record: SandboxRecord; message: string }[]> {
  const live = await context.records.sandboxes.listLive();
  return live.flatMap((record) => {
    const hold = holds.find(
      ({ teamId, keyId }) => record.teamId === teamId && (keyId === '' || keyId === record.createdBy),
    );
    return record.state !== 'running' || hold === undefined ? [] : [{ record, message: hold.message }];
  });
}
