import { randomBytes } from 'node:crypto';
import { completeAll, measureOperation, phase, SoulBoxError } from '@soulbox/base';
import type { Template } from '@soulbox/templates';
import { needOfClaim } from '../processes/disk-need.ts';
import { trustOwnAuthority } from './trust-own-authority.ts';
import { checkVolumes } from './copies/own-volumes.ts';
import type { VolumeCopy } from './copies/own-volumes.ts';
import { requireOwnVolumes } from './copies/fork.ts';
import { startWithOwnVolumes } from './copies/start-with-own-volumes.ts';
import { giveUp, hasTenant, serveCopy, tellCopy } from './copies/make-copy.ts';
import { tenantOfCopy } from './copies/tenant-of-copy.ts';
import { getDriver } from '../processes/sandbox-host.ts';
import type { OpenedVolumes } from '../processes/volume-mounts.ts';
import type { OperationContext } from './operation-context.ts';
import type { Blueprint, TemplateBlueprint } from '../processes/blueprint.ts';
import { beginUsage } from '../processes/egress-usage.ts';
import { policyOf } from '../registry/network-policy.ts';
import type { Lifecycle, Tenant, TenantNetwork, VolumeOfSandbox } from '../registry/record.ts';
import type { LiveSandbox, RunningSandbox, TenantSandbox } from '../registry/table.ts';

/** A create request, validated by the control plane. */
export interface CreateRequest {
  readonly teamId: string;
  /** Empty: unknown. */
  readonly keyId: string;
  /** Empty: the create is not repeated. */
  readonly creationId: string;
  readonly alias: string;
  /** See Tenant. */
  readonly shownTemplateId?: string;
  readonly lifecycle: Lifecycle;
  readonly metadata: Readonly<Record<string, string>>;
  readonly envVars: Readonly<Record<string, string>>;
  readonly network: TenantNetwork;
  /** In addition to those of a snapshot. */
  readonly volumes: readonly VolumeOfSandbox[];
  /** Copies of those of a snapshot that has some for each sandbox. Absent: the sandbox shares what the snapshot has. */
  readonly ownVolumes?: readonly VolumeCopy[] | undefined;
  /** See `ForkRequest`. */
  readonly signal?: AbortSignal | undefined;
  readonly secure: boolean;
  /** Whether the output of commands goes into the log of the sandbox. */
  readonly logOutput: boolean;
}

export interface CreateContext extends OperationContext {
  /** The source of warm sandboxes. A sandbox that was taken belongs to the caller alone. */
  readonly pool: { take(blueprint: Blueprint): Promise<LiveSandbox> };
}

/**
 * Takes a warm sandbox and gives it to the tenant. The tenant's network policy is set before envd gets the tenant's
 * settings.
 */
export async function createSandbox(
  context: CreateContext,
  blueprint: Omit<TemplateBlueprint, 'kind'>,
  request: CreateRequest,
): Promise<RunningSandbox> {
  return await measureOperation('create', async (finish) => {
    const { host, pool, table } = context;
    getDriver(host, blueprint.isolation);
    using _admitted = context.admission.enter();
    using _room = host.disks.admit(needOfClaim(host, blueprint.template.diskMb), 'A new sandbox');
    const sandbox = await phase('pool', async () => await pool.take({ kind: 'template', ...blueprint }));
    const { sandboxId } = sandbox.record;
    try {
      const tenant = tenantFromRequest(request, sandboxId, blueprint.template, context.clock.now());
      await claim(context, sandbox, tenant, request.volumes);
      await table.step(sandbox, 'running', { cause: 'request', stateSinceMs: context.clock.now() });
    } catch (error) {
      await context.abandon(sandboxId);
      throw error;
    }
    const running = table.getRunning(sandboxId);
    host.logger.info({ sandboxId, templateId: blueprint.template.templateId, ...finish() }, 'sandbox created');
    context.metrics.add(running);
    context.logBook.write(sandboxId, 'sandbox created', { templateID: blueprint.template.templateId });
    context.events.emit({ kind: 'created', record: running.record });
    return running;
  });
}

async function claim(
  context: CreateContext,
  sandbox: LiveSandbox,
  tenant: Tenant,
  volumes: CreateRequest['volumes'],
): Promise<void> {
  const { clock } = context;
  await using opened = await beginClaim(context, sandbox, tenant, volumes);
  const init = {
    ...tenant.settings,
    ...(tenant.envdAccessToken === '' ? {} : { accessToken: tenant.envdAccessToken }),
    timestamp: new Date(clock.now()).toISOString(),
  };
  await completeAll([phase('confirm', async () => await sandbox.live.envd.init(init)), mountMore(sandbox, opened)]);
  if (hasTenant(sandbox)) await trustOwnAuthority(context, sandbox);
}

/** Returns the volumes that the sandbox gets by this claim, behind those that it had already: to be mounted. */
async function beginClaim(
  { host, table }: CreateContext,
  sandbox: LiveSandbox,
  tenant: Tenant,
  more: CreateRequest['volumes'],
): Promise<OpenedVolumes | undefined> {
  const { sandboxId, volumes } = sandbox.record;
  const opening = more.length === 0 ? undefined : host.volumes.open(sandboxId, more, volumes.length);
  const begin = async (): Promise<void> => {
    const claimed = { tenant, volumes: [...volumes, ...more], ...beginUsage(host.network, sandbox.record) };
    await table.step(sandbox, 'claiming', claimed);
    host.disks.settle();
    await phase('network', async () => await host.network.setPolicy(sandbox.record.slot, policyOf(sandbox.record)));
  };
  const beginning = begin();
  await Promise.allSettled([beginning, opening]);
  await using opened = new AsyncDisposableStack();
  const result = await opening;
  if (result !== undefined) opened.use(result);
  await beginning;
  opened.move();
  return result;
}

/** Not before the network has the policy of the tenant: programs of the template run already. */
async function mountMore({ live }: LiveSandbox, opened: OpenedVolumes | undefined): Promise<void> {
  if (opened === undefined) return;
  await phase('volumes', async () => {
    await completeAll([live.driver.attachVolumes(live.instance, opened.volumes), opened.served]);
  });
}

/**
 * Gives a copy of a snapshot to the tenant, with the settings of the request and the memory and files of the snapshot.
 * Throws `state_damaged`, `sandbox_resume_failed`, and `state_incompatible`, also when `isolation` is set and differs
 * from the snapshot's.
 */
export async function createFromSnapshot(
  context: CreateContext,
  snapshotId: string,
  request: CreateRequest,
  isolation = '',
): Promise<RunningSandbox> {
  return await measureOperation('create-from-snapshot', async (finish) => {
    const { host, pool } = context;
    const snapshot = context.snapshots.get(snapshotId);
    const { ownVolumes, signal } = request;
    checkVolumes(snapshot, request.teamId);
    requireOwnVolumes(snapshot, ownVolumes !== undefined);
    if (isolation !== '' && isolation !== snapshot.driver) throw otherWall(snapshot.driver, isolation);
    using _admitted = context.admission.enter();
    using _room = host.disks.admit(needOfClaim(host, snapshot.diskMb), 'A new sandbox');
    const { settings } = snapshot.tenant;
    const own = {
      ...tenantsOwn(request),
      // Whoever made the snapshot may have asked for output in the log, which says nothing about this creator.
      settings: {
        ...{ ...settings, logOutput: request.logOutput },
        envVars: { ...settings.envVars, ...request.envVars },
      },
    };
    const tenantOf = (sandboxId: string): Tenant => tenantOfCopy(snapshot.tenant, sandboxId, own, context.clock.now());
    if (ownVolumes !== undefined) {
      // A spare has what the snapshot has.
      const order = { snapshot, ownVolumes, signal, tenantOf };
      const sandbox = await startWithOwnVolumes(context, order);
      host.logger.info({ sandboxId: sandbox.record.sandboxId, cause: 'snapshot', ...finish() }, 'sandbox copied');
      return await serveCopy(context, sandbox);
    }
    const sandbox = await phase('pool', async () => await pool.take({ kind: 'snapshot', snapshotId }));
    const { sandboxId } = sandbox.record;
    const claimed = { hasMemory: snapshot.hasMemory, volumes: request.volumes };
    const copy = await claimCopy(context, sandbox, tenantOf(sandboxId), claimed);
    host.logger.info({ sandboxId, cause: 'snapshot', ...finish() }, 'sandbox copied');
    return await serveCopy(context, copy);
  });
}

/** Thaws the copy only after its network has the tenant's policy. It is unreachable until its envd has confirmed. */
async function claimCopy(
  context: CreateContext,
  sandbox: LiveSandbox,
  tenant: Tenant,
  { hasMemory, volumes }: { readonly hasMemory: boolean; readonly volumes: CreateRequest['volumes'] },
): Promise<TenantSandbox> {
  try {
    await using opened = await beginClaim(context, sandbox, tenant, volumes);
    if (!hasTenant(sandbox)) throw new Error('the record of a copy lost its tenant');
    await phase('network', async () => await context.host.network.plug(sandbox.record.slot));
    // Before its programs run.
    await mountMore(sandbox, opened);
    await phase('thaw', async () => await sandbox.live.driver.thaw(sandbox.live.instance));
    await tellCopy(context, sandbox, hasMemory);
    return sandbox;
  } catch (err) {
    await giveUp(context, sandbox.record.sandboxId, err);
    throw err;
  }
}

/** A checkpoint belongs to one driver. A caller must not get a weaker isolation than it asked for. */
function otherWall(own: string, wanted: string): SoulBoxError {
  return new SoulBoxError(
    'state_incompatible',
    `The snapshot was saved with the isolation "${own}" and can be restored only with it. For "${wanted}", use a template that was built with that isolation.`,
  );
}

function tenantFromRequest(request: CreateRequest, sandboxId: string, template: Template, nowMs: number): Tenant {
  const { defaultUser, defaultWorkdir } = template;
  return {
    ...tenantsOwn(request),
    startedAtMs: nowMs,
    endAtMs: nowMs + request.lifecycle.timeoutSeconds * 1000,
    settings: {
      ...{ envVars: globalVariables(request, sandboxId, template), defaultUser, defaultWorkdir },
      ...(request.logOutput ? { logOutput: true } : {}),
    },
  };
}

function tenantsOwn(request: CreateRequest): Omit<Tenant, 'startedAtMs' | 'endAtMs' | 'settings'> {
  const { teamId, keyId, creationId, alias, shownTemplateId, metadata, network, lifecycle, secure } = request;
  return {
    ...{ teamId, keyId, creationId },
    alias,
    ...(shownTemplateId === undefined ? {} : { shownTemplateId }),
    metadata: { ...metadata },
    network,
    lifecycle,
    envdAccessToken: secure ? createToken() : '',
    trafficAccessToken: network.allowPublicTraffic === false ? createToken() : '',
  };
}

function createToken(): string {
  return randomBytes(32).toString('hex');
}

/** The variables of every program inside: the template's, then E2B's documented names, then the tenant's own. */
function globalVariables(request: CreateRequest, sandboxId: string, template: Template): Record<string, string> {
  return {
    ...template.environment,
    E2B_SANDBOX: 'true',
    E2B_SANDBOX_ID: sandboxId,
    E2B_TEMPLATE_ID: template.templateId,
    E2B_TEAM_ID: request.teamId,
    ...request.envVars,
  };
}
