import { randomId, SoulBoxError } from '@soulbox/base';
import type { VolumeMount } from '@soulbox/contract/runner';
import type { SandboxRecord, SnapshotRecord, TeamRecord } from '@soulbox/storage';
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
import { ownVolumesToRunner, withOwnVolumes } from '../volumes/own-volumes.ts';
import type { OwnVolumes } from '../volumes/own-volumes.ts';
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
    volumes: z
      .enum(['share', 'snapshot'])
      .default('share')
      .describe(
        '`share`: sandboxes from the snapshot mount the volumes of the sandbox. `snapshot`: a snapshot of each volume is made at the moment of the memory, and each sandbox gets clones of them. They stay when the snapshot is deleted. SoulBox extension.',
      ),
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
        response: { 201: madeSnapshotSchema, ...errors(400, 404, 409, 413, 415, 422, 501, 503, 504) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const snapshot = await runOnce(context, request, reply, {
        make: async (creationId): Promise<MadeSnapshot> => {
          const name = await parseSnapshotName(context, caller.team, request.body?.name);
          const sandbox = await getLive(context, caller, request.params.sandboxID);
          refuseFunctions(sandbox);
          const id = idFrom(creationId);
          if (request.body?.volumes !== 'snapshot') return await makeSnapshot(context, sandbox, { id, ...name });
          return await makeWithVolumes(context, caller.team, sandbox, { id, ...name });
        },
        find: async (creationId) => await context.records.snapshots.findById(caller.team.id, idFrom(creationId)),
        gone: () =>
          new SoulBoxError(
            'snapshot_not_found',
            'The snapshot that this Idempotency-Key has made does not exist any more.',
          ),
      });
      return reply.code(201).send({ ...snapshotToWire(snapshot, caller.team), ...volumesToWire(snapshot) });
    },
  );
}

/** A repetition of a request uses the same id, which no second snapshot can have. Empty: it is not repeated. */
function idFrom(creationId: string): string {
  return `s${creationId === '' ? randomId(20) : creationId.replaceAll('-', '').slice(0, 20)}`;
}

/** The runner reports what it has mounted of the volumes; only the answer of the request itself has them. */
type MadeSnapshot = SnapshotRecord & { readonly volumes?: readonly VolumeMount[] };

const madeSnapshotSchema = snapshotSchema
  .extend({
    volumes: z
      .array(z.object({ volumeID: z.string(), name: z.string(), path: z.string() }))
      .optional()
      .describe('With `volumes: snapshot`: the snapshots of volumes, and where they were. Not in a repetition.'),
  })
  .meta({ id: 'MadeSnapshot' });

function volumesToWire({ volumes }: MadeSnapshot): Pick<z.infer<typeof madeSnapshotSchema>, 'volumes'> {
  if (volumes === undefined) return {};
  const own = volumes.filter(({ isBucket }) => !isBucket);
  return { volumes: own.map(({ volumeId, name, path }) => ({ volumeID: volumeId, name, path })) };
}

async function makeWithVolumes(
  context: ApiContext,
  team: TeamRecord,
  sandbox: SandboxRecord,
  named: SnapshotName & { readonly id: string },
): Promise<MadeSnapshot> {
  const volumeIds = sandbox.volumes.filter(({ bucketPrefix }) => bucketPrefix === undefined);
  const wanted = { volumeIds: volumeIds.map(({ volumeId }) => volumeId), sets: 1, areReadOnly: true };
  return await withOwnVolumes(
    context,
    team,
    { ...wanted, withSnapshots: false },
    ([own]) => makeSnapshot(context, sandbox, named, own),
    ({ volumes = [] }) => volumes.map(({ volumeId }) => volumeId),
  );
}

/**
 * Writes the intent, calls the runner, writes the row. A kill of this process in between leaves an intent. The next
 * comparison of records and runner turns it into a snapshot or drops it. Throws `limit_exceeded`, and the errors of the
 * runner.
 */
async function makeSnapshot(
  context: ApiContext,
  sandbox: SandboxRecord,
  named: SnapshotName & { readonly id: string },
  own?: OwnVolumes,
): Promise<MadeSnapshot> {
  const { id } = named;
  const limits = await context.quotas.limitsOf(sandbox.teamId);
  await context.quotas.checkStorage(sandbox.teamId, limits, 0);
  context.snapshotsUnderway.add(id);
  try {
    const intent = await begin(context, sandbox, named, limits);
    const { volumes, ...made } = await askRunner(context, sandbox, id, limits, own);
    const replaced = (await context.records.snapshots.complete(id, made)) ?? [];
    for (const old of replaced) await forgetQuietly(context, old);
    context.logger.info({ sandboxId: sandbox.id, snapshotId: id }, 'snapshot made');
    return { ...intent, ...made, state: 'ready', ...(own === undefined ? {} : { volumes }) };
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

async function askRunner(
  context: ApiContext,
  sandbox: SandboxRecord,
  snapshotId: string,
  limits: TeamLimits,
  own: OwnVolumes | undefined,
) {
  const ownVolumes = own === undefined ? {} : { ownVolumes: ownVolumesToRunner(own) };
  const order = { sandboxId: sandbox.id, snapshotId, teamLimits: limitsForRunner(limits), ...ownVolumes };
  try {
    const { snapshot } = await withRow(context, sandbox, () =>
      callRunner((options) => context.runner.makeSnapshot(order, options), runnerStateMs),
    );
    if (snapshot === undefined) throw new SoulBoxError('internal', 'The runner returned no snapshot.');
    return { ...madeFrom(snapshot), volumes: snapshot.volumes };
  } catch (thrown) {
    // The snapshot may exist all the same if only the response was lost.
    await forgetQuietly(context, snapshotId);
    throw thrown;
  }
}
