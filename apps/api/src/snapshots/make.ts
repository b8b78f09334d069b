import { randomId, SoulBoxError } from '@soulbox/base';
import type { SandboxRecord, SnapshotRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams, timingsQuery } from '../http/schemas.ts';
import { runnerStateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { getLive, refuseFunctions, withRow } from '../lookup/sandbox.ts';
import { runOnce } from '../idempotency/run-once.ts';
import { raiseTeam } from '../quotas/budgets.ts';
import type { TeamLimits } from '../quotas/limit-table.ts';
import { storedHintSeconds } from '../quotas/quotas.ts';
import { limitsForRunner } from '../teams/usage.ts';
import { forgetQuietly } from './forget.ts';
import { parseSnapshotName } from './name.ts';
import type { SnapshotName } from './name.ts';
import { madeFrom } from '../runner/snapshot-facts.ts';
import { snapshotSchema, snapshotToWire } from './to-wire.ts';

const newSnapshotSchema = z
  .object({
    name: z
      .string()
      .max(256)
      .optional()
      .describe('`[team/]name[:tag]`. A snapshot of the team that already has the name is replaced. Default: no name.'),
  })
  .meta({ id: 'SandboxSnapshotRequest' });

export function addMakeSnapshotRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/snapshots',
    {
      schema: {
        tags: ['snapshots'],
        summary: 'Create a snapshot of a sandbox; the sandbox continues to run',
        params: sandboxParams,
        querystring: timingsQuery,
        body: newSnapshotSchema.nullish(),
        response: { 201: snapshotSchema, ...errors(400, 404, 409, 413, 415, 422, 501, 503, 504) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const snapshot = await runOnce(context, request, reply, {
        make: async (creationId) => {
          const name = await parseSnapshotName(context, caller.team, request.body?.name);
          const sandbox = await getLive(context, caller, request.params.sandboxID);
          refuseFunctions(sandbox);
          return await makeSnapshot(context, sandbox, name, idFrom(creationId));
        },
        find: async (creationId) => await context.records.snapshots.findById(caller.team.id, idFrom(creationId)),
        gone: () =>
          new SoulBoxError(
            'snapshot_not_found',
            'The snapshot that this Idempotency-Key has made does not exist any more.',
          ),
      });
      return reply.code(201).send(snapshotToWire(snapshot, caller.team));
    },
  );
}

/** A repetition of a request uses the same id, which no second snapshot can have. Empty: it is not repeated. */
function idFrom(creationId: string): string {
  return `s${creationId === '' ? randomId(20) : creationId.replaceAll('-', '').slice(0, 20)}`;
}

/**
 * Writes the intent, calls the runner, writes the row. A kill of this process in between leaves an intent. The next
 * comparison of records and runner turns it into a snapshot or drops it. Throws `limit_exceeded`, and the errors of the
 * runner.
 */
async function makeSnapshot(
  context: ApiContext,
  sandbox: SandboxRecord,
  name: SnapshotName,
  id: string,
): Promise<SnapshotRecord> {
  const limits = await context.quotas.limitsOf(sandbox.teamId);
  await context.quotas.checkStorage(sandbox.teamId, limits, 0);
  context.snapshotsUnderway.add(id);
  try {
    const intent = await begin(context, sandbox, { id, ...name }, limits);
    const made = await askRunner(context, sandbox, id, limits);
    const replaced = (await context.records.snapshots.complete(id, made)) ?? [];
    for (const old of replaced) await forgetQuietly(context, old);
    context.logger.info({ sandboxId: sandbox.id, snapshotId: id }, 'snapshot made');
    return { ...intent, ...made, state: 'ready' };
  } finally {
    context.snapshotsUnderway.delete(id);
  }
}

async function begin(
  context: ApiContext,
  sandbox: SandboxRecord,
  named: SnapshotName & { id: string },
  { snapshots: limit }: TeamLimits,
) {
  const { id: sandboxId, teamId, templateId, cpuCount, memoryMb, diskSizeMb, isolation } = sandbox;
  const size = { cpuCount, memoryMb, diskSizeMb, isolation };
  const intent = { ...named, ...size, teamId, sandboxId, templateId, createdAt: context.clock.now() };
  if (await context.records.snapshots.begin(intent, limit)) return intent;
  throw new SoulBoxError(
    'limit_exceeded',
    `The team has reached the maximum number of snapshots (${limit}). Delete some. ${raiseTeam('snapshots')}`,
    { retryAfterSeconds: storedHintSeconds },
  );
}

async function askRunner(context: ApiContext, sandbox: SandboxRecord, snapshotId: string, limits: TeamLimits) {
  const order = { sandboxId: sandbox.id, snapshotId, teamLimits: limitsForRunner(limits) };
  try {
    const { snapshot } = await withRow(context, sandbox, () =>
      callRunner((options) => context.runner.makeSnapshot(order, options), runnerStateMs),
    );
    if (snapshot === undefined) throw new SoulBoxError('internal', 'The runner returned no snapshot.');
    return madeFrom(snapshot);
  } catch (thrown) {
    // The snapshot may exist all the same if only the response was lost.
    await forgetQuietly(context, snapshotId);
    throw thrown;
  }
}
