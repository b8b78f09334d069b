import type { SettleUsageResponse } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import { dayOf } from '../quotas/day.ts';
import { callRunner } from '../runner/call.ts';

/** A team (with an empty key) or a key that has used up a budget. */
export type Hold = Awaited<ReturnType<ApiContext['quotas']['listSpent']>>[number];

/** Whoever opens a port of a sandbox may read it, so it has no figures of the team. */
const heldMessage =
  'Its team, or the API key that created it, has used up a budget. It can run when the budget is raised, or on the next day (UTC).';

/** Tells the runner who may not run, and records what sandboxes have used. `recorded` collects ended sandboxes. */
export async function settleUsage(context: ApiContext, holds: readonly Hold[], recorded: Set<string>): Promise<void> {
  const order = {
    recorded: [...recorded],
    holds: holds.map(({ teamId, keyId }) => ({ teamId, keyId, message: heldMessage })),
  };
  const answer = await callRunner((options) => context.runner.settleUsage(order, options));
  const counters = answer.counters.map(countersFromRunner);
  await context.records.quotas.recordCounters(answer.epoch, counters, dayOf(context.clock.now()), order.recorded);
  recorded.clear();
  for (const { sandboxId, hasEnded } of counters) if (hasEnded) recorded.add(sandboxId);
}

function countersFromRunner(counters: SettleUsageResponse['counters'][number]) {
  const { sandboxId, teamId, keyId, cpuUsedSeconds, networkSentBytes, hasEnded } = counters;
  const figures = { cpuMs: Math.floor(cpuUsedSeconds * 1000), egressBytes: Number(networkSentBytes) };
  return { sandboxId, teamId, keyId, ...figures, hasEnded };
}
