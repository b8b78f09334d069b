import { randomUUID } from 'node:crypto';
import type { AuditFacts } from '@soulbox/audit';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { SoulBoxError } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import type { Sandbox } from '@soulbox/contract/runner';
import { callerOf } from '../auth/authenticate.ts';
import { mayRun } from '../auth/caller.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timingsQuery } from '../http/schemas.ts';
import { runnerCreateMs } from '../limits.ts';
import { callRunner } from '../runner/call.ts';
import { runOnce } from '../idempotency/run-once.ts';
import type { TeamLimits } from '../quotas/limit-table.ts';
import { ownVolumesToRunner, withOwnVolumes } from '../volumes/own-volumes.ts';
import type { OwnVolumes } from '../volumes/own-volumes.ts';
import { clonesOfSnapshot } from './clones-of-snapshot.ts';
import { checkTimeout } from './deadline.ts';
import { lifecycleToRunner, refuseContradictions } from './lifecycle.ts';
import { newSandboxSchema, newSandboxV2Schema } from './new-sandbox-schema.ts';
import type { NewSandbox } from './new-sandbox-schema.ts';
import { limitsForRunner } from '../teams/usage.ts';
import { findMade, sandboxGone } from './find-made.ts';
import { withReservations } from './reservations.ts';
import { sandboxSchema } from './schemas.ts';
import { permitSource, permitSourceId } from '../lookup/permitted-templates.ts';
import { getSource } from '../lookup/source.ts';
import type { Source } from '../lookup/source.ts';
import { sandboxToWire } from './to-wire.ts';
import { networkFacts } from './network-facts.ts';
import { policyToRunner } from './network-policy.ts';
import { permitSecrets } from './permit-secrets.ts';
import { resolveBuckets } from './resolve-buckets.ts';
import { resolveVolumes } from './resolve-volumes.ts';
import type { VolumeToMount } from './resolve-volumes.ts';
import { checkMountPaths } from './mount-paths.ts';
import { permitVolumes } from './permit-volumes.ts';
import { requestedIsolation } from '../http/requested-isolation.ts';

/** The body of a create, with the isolation that all sources together specify; empty if none does. */
type CreateRequest = Omit<NewSandbox, 'isolation'> & { readonly isolation: string };

/** The id under which it can be found again; empty if it need not be. */
type OwnCreate = CreateRequest & { readonly creationId: string };

/** With the volumes and buckets that it names. */
type ResolvedCreate = OwnCreate & { readonly volumes: readonly VolumeToMount[] };

/** E2B's `error_code` for failures of a create. */
const errorCodes: Partial<Record<Reason, string>> = {
  sandbox_start_failed: 'sandbox_create_failed',
  sandbox_resume_failed: 'sandbox_create_failed',
  host_not_ready: 'sandbox_create_failed',
  runner_unavailable: 'sandbox_placement_timeout',
};

/**
 * A policy that is given at the create is recorded like one that is set later. Volumes and buckets give access to their
 * contents.
 */
function auditFacts(body: unknown): AuditFacts | undefined {
  const { network, allow_internet_access, volumeMounts = [], bucketMounts = [] } = body as NewSandbox;
  const hasPolicy = network !== undefined || allow_internet_access !== undefined;
  if (!hasPolicy && volumeMounts.length + bucketMounts.length === 0) return undefined;
  return {
    ...(hasPolicy ? networkFacts({ ...network, allow_internet_access }) : {}),
    ...(volumeMounts.length === 0 ? {} : { volumes: volumeMounts.map(({ name }) => name).join(',') }),
    ...(bucketMounts.length === 0 ? {} : { buckets: bucketMounts.map(({ name }) => name).join(',') }),
  };
}

const response = { 201: sandboxSchema, ...errors(400, 404, 409, 413, 415, 422, 501, 503, 504) };

export function addCreateRoutes(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes',
    {
      config: { errorCodes, auditFacts },
      schema: {
        tags: ['sandboxes'],
        summary: 'Create a sandbox (older clients)',
        querystring: timingsQuery,
        body: newSandboxSchema,
        response,
      },
    },
    async (request, reply) => {
      const isolation = requestedIsolation(request, request.body);
      const caller = callerOf(request);
      // A sandbox without a token is open to a key that may not use its insides.
      const secure = request.body.secure || !mayRun(caller);
      const sandbox = await createOnce(context, request, reply, { ...request.body, secure, isolation });
      return reply.code(201).send(sandboxToWire(sandbox, context.config, caller));
    },
  );

  app.post(
    '/v2/sandboxes',
    {
      config: { errorCodes, auditFacts },
      schema: {
        tags: ['sandboxes'],
        summary: 'Create a sandbox',
        querystring: timingsQuery,
        body: newSandboxV2Schema,
        response,
      },
    },
    async (request, reply) => {
      const body = { ...request.body, secure: true, isolation: requestedIsolation(request, request.body) };
      const sandbox = await createOnce(context, request, reply, body);
      return reply.code(201).send(sandboxToWire(sandbox, context.config, callerOf(request)));
    },
  );
}

async function createOnce(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  body: CreateRequest,
): Promise<Sandbox> {
  const caller = callerOf(request);
  permitSecrets(caller, body.network?.rules);
  permitVolumes(caller, body);
  return await runOnce(context, request, reply, {
    make: async (creationId) => await createSandbox(context, caller, { ...body, creationId }),
    find: async (creationId) => (await findMade(context, caller, creationId))[0],
    gone: sandboxGone,
  });
}

async function createSandbox(context: ApiContext, caller: Caller, body: OwnCreate): Promise<Sandbox> {
  checkTimeout(context, body.timeout);
  refuseContradictions(body);
  checkMountPaths(body);
  const source = await getPermittedSource(context, caller, body.templateID);
  const volumes = [
    ...(await resolveVolumes(context, caller.team, body.volumeMounts)),
    ...(await resolveBuckets(context, caller.team, body.bucketMounts)),
  ];
  const sandbox = await createFrom(context, caller, source, { ...body, volumes }).catch(async (thrown: unknown) => {
    if (!hasVanished(thrown)) throw thrown;
    // The tag may have moved, which deletes the build that it pointed at. Or the remembered template is gone.
    context.templates.forget();
    const again = await getPermittedSource(context, caller, body.templateID);
    if (again.snapshotId === source.snapshotId && again.templateId === source.templateId) throw thrown;
    return await createFrom(context, caller, again, { ...body, volumes });
  });
  if (source.isBuilt) await context.records.templates.noteSpawn(source.templateId, context.clock.now());
  context.logger.info({ sandboxId: sandbox.sandboxId, team: caller.team.id }, 'sandbox created');
  return sandbox;
}

/** Throws `scope_missing` for a source that is not of the key's templates, and the errors of `getSource`. */
async function getPermittedSource(context: ApiContext, caller: Caller, text: string): Promise<Source> {
  await permitSource(context, caller, text);
  const source = await getSource(context, caller.team, text);
  await permitSourceId(context, caller, source.templateId);
  return source;
}

const hasVanished = (thrown: unknown): boolean =>
  thrown instanceof SoulBoxError && (thrown.reason === 'snapshot_not_found' || thrown.reason === 'template_not_found');

async function createFrom(context: ApiContext, caller: Caller, source: Source, body: ResolvedCreate): Promise<Sandbox> {
  refuseVolumesOfSnapshot(source, body.volumes);
  const { templateId, memoryMb } = source;
  const { keyId } = caller;
  const wanted = { id: randomUUID(), templateId, sandboxCount: 1, memoryMb, keyId, isCreate: true };
  const create = async (ownVolumes: OwnVolumes | undefined): Promise<Sandbox> =>
    await withReservations(
      context,
      caller,
      wanted,
      (limits) => {
        const request = requestToRunner(caller, limits, source, body);
        const own = ownVolumes === undefined ? {} : { ownVolumes: ownVolumesToRunner(ownVolumes) };
        return askRunner(context, { ...request, ...own });
      },
      (made) => [made],
    );
  const clones =
    source.snapshotId === '' || source.isBuilt ? undefined : await clonesOfSnapshot(context, source.snapshotId, false);
  if (clones === undefined) return await create(undefined);
  return await withOwnVolumes(
    context,
    caller.team,
    { ...clones, sets: 1, areReadOnly: false },
    ([own]) => create(own),
    ({ volumes }) => volumes.map(({ volumeId }) => volumeId),
  );
}

/**
 * A sandbox from a snapshot has the volumes and buckets that the snapshot's sandbox had: its memory may have open files of
 * them.
 */
function refuseVolumesOfSnapshot({ snapshotId, isBuilt }: Source, volumes: readonly VolumeToMount[]): void {
  if (snapshotId === '' || isBuilt || volumes.length === 0) return;
  const [member, what] = volumes.some(({ isBucket }) => !isBucket)
    ? (['volumeMounts', 'volumes'] as const)
    : (['bucketMounts', 'buckets'] as const);
  throw new SoulBoxError(
    'bad_request',
    `${member}: must be empty for snapshot ${snapshotId}. The ${what} of the sandbox that was saved are mounted.`,
  );
}

async function askRunner(
  context: ApiContext,
  request: ReturnType<typeof requestToRunner> & { readonly ownVolumes?: ReturnType<typeof ownVolumesToRunner> },
): Promise<Sandbox> {
  const { sandbox } = await callRunner((options) => context.runner.createSandbox(request, options), runnerCreateMs);
  if (sandbox === undefined) throw new SoulBoxError('internal', 'The runner returned no sandbox.');
  return sandbox;
}

function requestToRunner(caller: Caller, limits: TeamLimits, source: Source, body: ResolvedCreate) {
  const { network } = body;
  // Clients send it beside `network`. Whichever of the two closes the sandbox counts.
  const access = [body.allow_internet_access, network?.allow_internet_access];
  const allowInternetAccess = access.includes(false) ? false : (access[0] ?? access[1]);
  const { templateId, alias, snapshotId, storeName } = source;
  return {
    ...{ templateId, alias, snapshotId, templateName: storeName },
    ...{ teamId: caller.team.id, keyId: caller.keyId, creationId: body.creationId },
    teamLimits: limitsForRunner(limits),
    timeoutSeconds: body.timeout,
    metadata: body.metadata ?? {},
    envVars: body.envVars ?? {},
    network: {
      ...policyToRunner({ ...network, allow_internet_access: allowInternetAccess }, body.iam),
      ...(network?.allowPublicTraffic === undefined ? {} : { allowPublicTraffic: network.allowPublicTraffic }),
      maskRequestHost: network?.maskRequestHost ?? '',
      httpsPorts: network?.httpsPorts ?? [],
    },
    ...{ secure: body.secure, logOutput: body.logOutput === true },
    lifecycle: lifecycleToRunner(body),
    isolation: body.isolation,
    volumes: [...body.volumes],
  };
}
