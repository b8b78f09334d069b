import { randomUUID } from 'node:crypto';
import type { AuditFacts } from '@soulbox/audit';
import { errorFromUnknown, reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { errorForCaller, httpBodyFromError } from '@soulbox/contract';
import type { ForkSandboxResponse, ForkSandboxResponse_Outcome, Sandbox } from '@soulbox/contract/runner';
import type { SandboxRecord } from '@soulbox/storage';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import { mayRun } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import { errors, timingsQuery } from '../http/schemas.ts';
import { runOnce } from '../idempotency/run-once.ts';
import { forksMax, runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { limitsForRunner } from '../teams/usage.ts';
import { ownVolumesToRunner, withOwnVolumes } from '../volumes/own-volumes.ts';
import type { OwnVolumes, WantedCopies } from '../volumes/own-volumes.ts';
import { findPresent } from './find-made.ts';
import { withReservations } from './reservations.ts';
import { sandboxSchema } from './schemas.ts';
import { sandboxToWire } from './to-wire.ts';

const forkSchema = z
  .object({
    timeout: z.int().min(1).default(15).describe('Seconds to live of each copy, from now.'),
    count: z.int().min(1).max(forksMax).default(1).describe('Copies.'),
    volumes: z
      .enum(['share', 'clone'])
      .default('share')
      .describe(
        '`share`: copies mount the volumes of the source. `clone`: each copy gets clones of them, with the contents of the moment of the memory; they stay when the copy ends. Snapshots of volumes are shared. Of a snapshot with volumes of its own, each copy gets clones in any case. SoulBox extension.',
      ),
  })
  .meta({ id: 'SandboxForkRequest' });
const forkResultSchema = z
  .object({
    sandbox: sandboxSchema.optional(),
    error: z.object({ code: z.int(), message: z.string() }).optional().describe('Why this copy could not be made.'),
  })
  .meta({ id: 'SandboxForkResult', description: 'Either a sandbox or an error.' });

type ForkResult = z.infer<typeof forkResultSchema>;

/** What the audit log says of the volumes. */
export function forkFacts(body: unknown): AuditFacts | undefined {
  return (body as z.infer<typeof forkSchema>).volumes === 'clone' ? { volumes: 'clone' } : undefined;
}

/** The parts of the schema that both forks have. */
export const forkCallSchema = {
  querystring: timingsQuery,
  body: forkSchema.nullish().transform((body) => body ?? { timeout: 15, count: 1, volumes: 'share' as const }),
  response: { 201: z.array(forkResultSchema), ...errors(400, 404, 409, 413, 415, 422, 501, 503, 504) },
};

interface ForkSource {
  readonly case: 'sandboxId' | 'snapshotId';
  readonly value: string;
  /** MiB. */
  readonly memoryMb: number;
  /** Those of which each copy gets clones. Undefined: the copies share what the source has. */
  readonly clones: Pick<WantedCopies, 'volumeIds' | 'withSnapshots'> | undefined;
}

/** Makes copies, at most once for an `Idempotency-Key`. */
export async function copyOnce(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  body: z.infer<typeof forkSchema>,
  makeFrom: (creationId: string) => Promise<ForkResult[]>,
): Promise<ForkResult[]> {
  const caller = callerOf(request);
  return await runOnce(context, request, reply, {
    make: makeFrom,
    find: async (creationId, isDone) => {
      const made = await context.records.sandboxes.findByCreation(caller.team.id, creationId);
      // Unless the first request has ended, the runner may be about to make the others.
      if (made.length === 0 || (!isDone && made.length < body.count)) return undefined;
      return await copiesToWire(context, caller, made, body.count);
    },
    gone: copyGone,
  });
}

/** The copies of an earlier request. One that failed then, or has ended since, has an error. */
async function copiesToWire(
  context: ApiContext,
  caller: Caller,
  made: readonly SandboxRecord[],
  count: number,
): Promise<ForkResult[]> {
  const results: ForkResult[] = [];
  for (const { id } of made) {
    try {
      const sandbox = await findPresent(context, caller, id);
      results.push({ sandbox: sandboxToWire(sandbox, context.config, caller) });
    } catch (thrown) {
      const error = errorFromUnknown(thrown);
      if (error.reason !== 'sandbox_not_found') throw thrown;
      results.push({ error: httpBodyFromError(error) });
    }
  }
  while (results.length < count) results.push({ error: httpBodyFromError(copyGone()) });
  return results;
}

function copyGone(): SoulBoxError {
  return new SoulBoxError(
    'sandbox_not_found',
    'The first request with this Idempotency-Key did not make this copy, or it does not exist any more.',
  );
}

/** Creates the copies in one call of the runner. Each has an outcome of its own. */
export async function makeCopies(
  context: ApiContext,
  caller: Caller,
  source: ForkSource,
  request: z.infer<typeof forkSchema> & { readonly creationId: string },
): Promise<ForkResult[]> {
  const { memoryMb, clones } = source;
  const { count, timeout: timeoutSeconds, creationId } = request;
  const { keyId } = caller;
  // A copy without a token is open to a key that may not use its insides.
  const ask = {
    source: { case: source.case, value: source.value },
    count,
    timeoutSeconds,
    teamId: caller.team.id,
    keyId,
    creationId,
    secure: !mayRun(caller),
  };
  const wanted = { id: randomUUID(), templateId: source.value, sandboxCount: count, memoryMb, keyId, isCreate: true };
  const made = (answer: ForkSandboxResponse): Sandbox[] =>
    answer.outcomes.flatMap(({ outcome }) => (outcome.case === 'sandbox' ? [outcome.value] : []));
  const fork = async (ownVolumes: readonly OwnVolumes[]): Promise<ForkSandboxResponse> =>
    await withReservations(
      context,
      caller,
      wanted,
      (limits) => {
        const order = { ...ask, teamLimits: limitsForRunner(limits), ownVolumes: ownVolumes.map(ownVolumesToRunner) };
        return callRunner((options) => context.runner.forkSandbox(order, options), runnerStateMs);
      },
      made,
    );
  const { outcomes } =
    clones === undefined
      ? await fork([])
      : await withOwnVolumes(context, caller.team, { ...clones, sets: count, areReadOnly: false }, fork, (answer) =>
          made(answer).flatMap(({ volumes }) => volumes.map(({ volumeId }) => volumeId)),
        );
  context.logger.info({ source: source.value, team: caller.team.id, count }, 'sandboxes forked');
  return outcomes.map((outcome) => outcomeToWire(outcome, context, caller));
}

/** A failed copy has the status and text that it would have had as a separate request. */
function outcomeToWire({ outcome }: ForkSandboxResponse_Outcome, context: ApiContext, caller: Caller): ForkResult {
  if (outcome.case === 'sandbox') return { sandbox: sandboxToWire(outcome.value, context.config, caller) };
  const { reason = '', message = '' } = outcome.value ?? {};
  const known = Object.hasOwn(reasons, reason) ? (reason as Reason) : 'internal';
  return { error: { ...httpBodyFromError(errorForCaller(new SoulBoxError(known, message))) } };
}
