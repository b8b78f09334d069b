import { SoulBoxError } from '@soulbox/base';
import type { Sandbox } from '@soulbox/contract/runner';
import type { CreationLimits } from '@soulbox/storage';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { keyMessage, raiseTeam } from '../quotas/budgets.ts';
import { secondsToNextDay } from '../quotas/day.ts';
import type { TeamLimits } from '../quotas/limit-table.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { aliveAfter } from '../lookup/sandbox.ts';

export interface Wanted {
  /** Id of the intent. Simultaneous steps with the same id share one reservation. */
  readonly id: string;
  readonly templateId: string;
  /** Number of sandboxes that run only after the step. */
  readonly sandboxCount: number;
  /** MiB of each. */
  readonly memoryMb: number;
  /** The API key whose budgets count: that of the creator. */
  readonly keyId: string;
  /** Whether they are created, and not resumed. */
  readonly isCreate: boolean;
}

/**
 * Writes the intent, calls the runner, writes the rows. A kill of this process between two steps leaves either an
 * intent, which the next start removes, or sandboxes without a row, which it adopts. A caller who disconnects meanwhile
 * gets no response, but the sandboxes are in the list and end at their deadline. Throws `too_many_sandboxes`,
 * `rate_exceeded`, `budget_spent`, `limit_exceeded`, or the error of `work`, which gets the limits of the team.
 */
export async function withReservations<T>(
  context: ApiContext,
  caller: Caller,
  wanted: Wanted,
  work: (limits: TeamLimits) => Promise<T>,
  sandboxesOf: (answer: T) => readonly Sandbox[],
): Promise<T> {
  const limits = await begin(context, caller, wanted);
  try {
    const answer = await work(limits);
    const facts = sandboxesOf(answer).map(factsFromRunner);
    await context.records.sandboxes.completeCreation(wanted.id, facts, context.clock.now());
    return answer;
  } catch (thrown) {
    await context.records.sandboxes.abandonCreation(wanted.id);
    throw thrown;
  }
}

async function begin(context: ApiContext, { team }: Caller, wanted: Wanted): Promise<TeamLimits> {
  const { quotas, records, clock } = context;
  const { id, templateId, sandboxCount, keyId, isCreate } = wanted;
  const spender = { teamId: team.id, keyId };
  const limits = await quotas.limitsOf(team.id);
  await quotas.checkBudgets(spender, limits);
  if (isCreate) quotas.takeCreates(limits, team.id, sandboxCount);
  const creation = {
    ...{ id, templateId, sandboxCount, teamId: team.id, startedAt: clock.now() },
    memoryMb: wanted.memoryMb * sandboxCount,
    ...(isCreate ? { creates: { keyId, count: sandboxCount, day: quotas.today() } } : {}),
  };
  const allowed = await quotas.creationLimits(spender, limits);
  const exceeded = await records.sandboxes.beginCreation(creation, allowed, aliveAfter(context));
  if (exceeded !== undefined) throw errorOf(exceeded, allowed, clock.now());
  return limits;
}

/** Sandboxes end at any time, so there may be room in a moment. Seconds. */
const runningHintSeconds = 1;

function errorOf(exceeded: keyof CreationLimits, allowed: CreationLimits, now: number): SoulBoxError {
  const limit = allowed[exceeded] ?? 0;
  switch (exceeded) {
    case 'sandboxes':
      return new SoulBoxError(
        'too_many_sandboxes',
        `The team has reached the maximum number of concurrent sandboxes (${limit}). Kill some or retry later. ${raiseTeam(exceeded)}`,
        { retryAfterSeconds: runningHintSeconds },
      );
    case 'memoryMb':
      return new SoulBoxError(
        'limit_exceeded',
        `The running sandboxes of the team would have more memory than the allowed ${limit} MiB. Kill or pause some, or retry later. ${raiseTeam('memory_mb')}`,
        { retryAfterSeconds: runningHintSeconds },
      );
    case 'keyDay':
    case 'keyTotal': {
      const period = exceeded === 'keyDay' ? 'day' : 'total';
      const retryAfterSeconds = period === 'day' ? secondsToNextDay(now) : 24 * 3600;
      const message = keyMessage({ kind: 'sandboxes', period, amount: limit });
      return new SoulBoxError('budget_spent', message, { retryAfterSeconds });
    }
  }
}
