import { randomUUID } from 'node:crypto';
import { reasons, SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { errorForCaller, httpBodyFromError } from '@soulbox/contract';
import type { ForkSandboxResponse_Outcome } from '@soulbox/contract/runner';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { forksMax, runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { getSnapshot, snapshotParams } from '../lookup/snapshot.ts';
import { checkTimeout } from './deadline.ts';
import { getLive, refuseFunctions, withRow } from '../lookup/sandbox.ts';
import { limitsForRunner } from '../teams/usage.ts';
import { withReservations } from './reservations.ts';
import { sandboxSchema } from './schemas.ts';
import { sandboxToWire } from './to-wire.ts';

const forkSchema = z
  .object({
    timeout: z.int().min(1).default(15).describe('Seconds to live of each copy from now.'),
    count: z.int().min(1).max(forksMax).default(1).describe('Copies.'),
  })
  .meta({ id: 'SandboxForkRequest' });
const bodySchema = forkSchema.nullish().transform((body) => body ?? { timeout: 15, count: 1 });

const forkResultSchema = z
  .object({
    sandbox: sandboxSchema.optional(),
    error: z.object({ code: z.int(), message: z.string() }).optional().describe('Why this copy could not be made.'),
  })
  .meta({ id: 'SandboxForkResult', description: 'Either a sandbox or an error.' });

const response = { 201: z.array(forkResultSchema), ...errors(400, 404, 409, 413, 415, 501, 503, 504) };

export function addForkRoutes(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/fork',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Fork a running or paused sandbox: copies with its memory and files',
        params: sandboxParams,
        body: bodySchema,
        response,
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      checkTimeout(context, request.body.timeout);
      const record = await getLive(context, caller, request.params.sandboxID);
      refuseFunctions(record);
      const source = { case: 'sandboxId', value: record.id } as const;
      const results = await withRow(context, record, () => fork(context, caller, source, request.body));
      return reply.code(201).send(results);
    },
  );

  app.post(
    '/snapshots/:snapshotID/fork',
    {
      schema: {
        tags: ['snapshots'],
        summary: 'Create sandboxes from a snapshot, with its memory and files. SoulBox extension.',
        params: snapshotParams,
        body: bodySchema,
        response,
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      checkTimeout(context, request.body.timeout);
      const snapshot = await getSnapshot(context, caller.team, request.params.snapshotID);
      const source = { case: 'snapshotId', value: snapshot.id } as const;
      return reply.code(201).send(await fork(context, caller, source, request.body));
    },
  );
}

type ForkSource = { readonly case: 'sandboxId' | 'snapshotId'; readonly value: string };

async function fork(context: ApiContext, caller: Caller, source: ForkSource, request: z.infer<typeof forkSchema>) {
  const { count, timeout: timeoutSeconds } = request;
  const teamLimits = limitsForRunner(context.config);
  const ask = { source, count, timeoutSeconds, teamId: caller.team.id, teamLimits };
  const wanted = { id: randomUUID(), templateId: source.value, places: count };
  const { outcomes } = await withReservations(
    context,
    caller,
    wanted,
    () => callRunner((options) => context.runner.forkSandbox(ask, options), runnerStateMs),
    (answer) => answer.outcomes.flatMap(({ outcome }) => (outcome.case === 'sandbox' ? [outcome.value] : [])),
  );
  context.logger.info({ source: source.value, team: caller.team.id, count }, 'sandboxes forked');
  return outcomes.map((outcome) => outcomeToWire(outcome, context));
}

/** A failed copy has the status and text that it would have had as a separate request. */
function outcomeToWire(
  { outcome }: ForkSandboxResponse_Outcome,
  context: ApiContext,
): z.infer<typeof forkResultSchema> {
  if (outcome.case === 'sandbox') return { sandbox: sandboxToWire(outcome.value, context.config) };
  const { reason = '', message = '' } = outcome.value ?? {};
  const known = Object.hasOwn(reasons, reason) ? (reason as Reason) : 'internal';
  return { error: { ...httpBodyFromError(errorForCaller(new SoulBoxError(known, message))) } };
}
