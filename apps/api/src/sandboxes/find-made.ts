import { SoulBoxError } from '@soulbox/base';
import type { Sandbox } from '@soulbox/contract/runner';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { getLive, goneFromRunner, withRow } from '../lookup/sandbox.ts';
import { callRunner } from '../runner/call.ts';

/**
 * The sandboxes that a request with an idempotency key has made, as the runner has them now, with their tokens. Throws
 * `sandbox_not_found` if one of them has ended.
 */
export async function findMade(context: ApiContext, caller: Caller, creationId: string): Promise<Sandbox[]> {
  const made: Sandbox[] = [];
  for (const { id } of await context.records.sandboxes.findByCreation(caller.team.id, creationId))
    made.push(await findPresent(context, caller, id));
  return made;
}

/** The sandbox as the runner has it now, with its tokens. Throws `sandbox_not_found` if it has ended. */
export async function findPresent(context: ApiContext, caller: Caller, sandboxId: string): Promise<Sandbox> {
  const record = await getLive(context, caller, sandboxId);
  const { sandbox } = await withRow(context, record, () =>
    callRunner((options) => context.runner.getSandbox({ sandboxId: record.id }, options)),
  );
  if (sandbox === undefined) throw await goneFromRunner(context, record);
  return sandbox;
}

/** For a sandbox whose record was purged. */
export function sandboxGone(): SoulBoxError {
  return new SoulBoxError(
    'sandbox_not_found',
    'The sandbox that this Idempotency-Key has created does not exist any more.',
  );
}
