import { SoulBoxError } from '@soulbox/base';
import type { Sandbox } from '@soulbox/contract/runner';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { aliveAfter } from '../lookup/sandbox.ts';

export interface Wanted {
  /** Id of the intent. Simultaneous steps with the same id share one reservation. */
  readonly id: string;
  readonly templateId: string;
  /** Number of sandboxes that run only after the step. */
  readonly sandboxCount: number;
}

/**
 * Writes the intent, calls the runner, writes the rows. A kill of this process between two steps leaves either an
 * intent, which the next start removes, or sandboxes without a row, which it adopts. A caller who disconnects meanwhile
 * gets no response, but the sandboxes are in the list and end at their deadline. Throws `too_many_sandboxes`, or the
 * error of `work`.
 */
export async function withReservations<T>(
  context: ApiContext,
  caller: Caller,
  wanted: Wanted,
  work: () => Promise<T>,
  sandboxesOf: (answer: T) => readonly Sandbox[],
): Promise<T> {
  await begin(context, caller, wanted);
  try {
    const answer = await work();
    const facts = sandboxesOf(answer).map(factsFromRunner);
    await context.records.sandboxes.completeCreation(wanted.id, facts, context.clock.now());
    return answer;
  } catch (thrown) {
    await context.records.sandboxes.abandonCreation(wanted.id);
    throw thrown;
  }
}

async function begin(context: ApiContext, caller: Caller, wanted: Wanted): Promise<void> {
  const creation = { ...wanted, teamId: caller.team.id, startedAt: context.clock.now() };
  const limit = context.config.teamSandboxLimit;
  if (await context.records.sandboxes.beginCreation(creation, limit, aliveAfter(context))) return;
  throw new SoulBoxError(
    'too_many_sandboxes',
    `The team has reached the maximum number of concurrent sandboxes (${limit}). Kill some or retry later.`,
  );
}
