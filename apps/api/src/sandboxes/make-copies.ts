import { randomUUID } from 'node:crypto';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { errorForCaller, httpBodyFromError } from '@soulbox/contract';
import type { ForkSandboxResponse_Outcome } from '@soulbox/contract/runner';
import { z } from 'zod';
import { mayRun } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { errors } from '../http/schemas.ts';
import { forksMax, runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { limitsForRunner } from '../teams/usage.ts';
import { withReservations } from './reservations.ts';
import { sandboxSchema } from './schemas.ts';
import { sandboxToWire } from './to-wire.ts';

const forkSchema = z
  .object({
    timeout: z.int().min(1).default(15).describe('Seconds to live of each copy, from now.'),
    count: z.int().min(1).max(forksMax).default(1).describe('Copies.'),
  })
  .meta({ id: 'SandboxForkRequest' });
const forkResultSchema = z
  .object({
    sandbox: sandboxSchema.optional(),
    error: z.object({ code: z.int(), message: z.string() }).optional().describe('Why this copy could not be made.'),
  })
  .meta({ id: 'SandboxForkResult', description: 'Either a sandbox or an error.' });

/** The parts of the schema that both forks have. */
export const forkCallSchema = {
  body: forkSchema.nullish().transform((body) => body ?? { timeout: 15, count: 1 }),
  response: { 201: z.array(forkResultSchema), ...errors(400, 404, 409, 413, 415, 501, 503, 504) },
};

type ForkSource = { readonly case: 'sandboxId' | 'snapshotId'; readonly value: string };

/** Creates the copies in one call of the runner. Each has an outcome of its own. `memoryMb`: that of the source. */
export async function makeCopies(
  context: ApiContext,
  caller: Caller,
  source: ForkSource,
  request: z.infer<typeof forkSchema>,
  memoryMb: number,
) {
  const { count, timeout: timeoutSeconds } = request;
  const { keyId } = caller;
  // A copy without a token is open to a key that may not use its insides.
  const ask = { source, count, timeoutSeconds, teamId: caller.team.id, keyId, secure: !mayRun(caller) };
  const wanted = { id: randomUUID(), templateId: source.value, sandboxCount: count, memoryMb, keyId, isCreate: true };
  const { outcomes } = await withReservations(
    context,
    caller,
    wanted,
    (limits) =>
      callRunner(
        (options) => context.runner.forkSandbox({ ...ask, teamLimits: limitsForRunner(limits) }, options),
        runnerStateMs,
      ),
    (answer) => answer.outcomes.flatMap(({ outcome }) => (outcome.case === 'sandbox' ? [outcome.value] : [])),
  );
  context.logger.info({ source: source.value, team: caller.team.id, count }, 'sandboxes forked');
  return outcomes.map((outcome) => outcomeToWire(outcome, context, caller));
}

/** A failed copy has the status and text that it would have had as a separate request. */
function outcomeToWire(
  { outcome }: ForkSandboxResponse_Outcome,
  context: ApiContext,
  caller: Caller,
): z.infer<typeof forkResultSchema> {
  if (outcome.case === 'sandbox') return { sandbox: sandboxToWire(outcome.value, context.config, caller) };
  const { reason = '', message = '' } = outcome.value ?? {};
  const known = Object.hasOwn(reasons, reason) ? (reason as Reason) : 'internal';
  return { error: { ...httpBodyFromError(errorForCaller(new SoulBoxError(known, message))) } };
}
