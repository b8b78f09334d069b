import { randomBytes, randomUUID } from 'node:crypto';
import { measureOperation } from '@soulbox/base';
import { createSandboxId } from '@soulbox/contract';
import { comesLate } from '../../processes/check-memory.ts';
import { readRootIdentity } from '../../processes/sandbox-disk.ts';
import { bundleNameOf } from '../../processes/sandbox-host.ts';
import { startProcesses, waitForEnvd } from '../../processes/start-processes.ts';
import type { OperationContext } from '../operation-context.ts';
import type { HostRecord, Tenant } from '../../registry/record.ts';
import { trustOwnAuthority } from '../trust-own-authority.ts';
import { confirmResumed } from '../../processes/tell-envd.ts';
import { tellSettings } from '../../processes/tell-envd.ts';
import type { KnownSandbox, LiveSandbox, RunningSandbox, TenantSandbox } from '../../registry/table.ts';
import type { CopyOrder } from './order-copies.ts';

/**
 * Starts one copy: a sandbox with the memory and files of the source and an identity of its own, which its envd has
 * confirmed. A copy that does not confirm is removed. It is announced by `serveCopy` only. Throws
 * `sandbox_resume_failed` and the errors of a start.
 */
export async function startCopy(
  context: OperationContext,
  order: CopyOrder,
  tenantOf: (sandboxId: string) => Tenant,
): Promise<TenantSandbox> {
  return await measureOperation('copy', async (finish) => {
    const sandbox = await restoreCopy(context, order, tenantOf);
    const { sandboxId } = sandbox.record;
    try {
      if (!hasTenant(sandbox)) throw new Error('the record of a copy lost its tenant');
      await tellCopy(context, sandbox, order.memory !== undefined);
      context.host.logger.info({ sandboxId, cause: order.cause, ...finish() }, 'sandbox copied');
      return sandbox;
    } catch (err) {
      await giveUp(context, sandboxId, err);
      throw err;
    }
  });
}

/**
 * Restores the processes of a copy. Its envd still has the identity of the source. Without a tenant the copy is a
 * spare; restored programs run in it, so its network is not plugged in. After an error nothing is left.
 */
export async function restoreCopy(
  context: OperationContext,
  order: CopyOrder,
  tenantOf?: (sandboxId: string) => Tenant,
): Promise<LiveSandbox> {
  const sandboxId = createSandboxId();
  const sandbox: KnownSandbox = { record: createRecord(context, order, sandboxId, tenantOf), live: undefined };
  context.table.add(sandbox);
  try {
    await context.table.update(sandbox, {});
    const live = await startProcesses(context.host, sandbox.record, order.rootfs, order.memory);
    const started = Object.assign(sandbox, { live });
    if (order.memory === undefined) await waitForEnvd(live);
    return started;
  } catch (err) {
    await giveUp(context, sandboxId, err);
    throw err;
  }
}

/** Gives the envd of a copy its new identity, and waits until it has adapted what runs inside. */
export async function tellCopy(
  context: OperationContext,
  sandbox: LiveSandbox & TenantSandbox,
  hasMemory: boolean,
): Promise<void> {
  if (hasMemory) await confirmResumed(context, sandbox, sandbox.live, true);
  else await tellSettings(context, sandbox, sandbox.live);
  await trustOwnAuthority(context, sandbox);
}

export function hasTenant(sandbox: LiveSandbox): sandbox is LiveSandbox & TenantSandbox {
  return sandbox.record.tenant !== undefined;
}

/** Hands a copy to its tenant and announces it. Called after its layers are sealed. Throws `disk_full`. */
export async function serveCopy(context: OperationContext, sandbox: TenantSandbox): Promise<RunningSandbox> {
  const { sandboxId } = sandbox.record;
  try {
    await context.table.step(sandbox, 'running', { disk: 'kept', stateSinceMs: context.clock.now() });
  } catch (err) {
    await giveUp(context, sandboxId, err);
    throw err;
  }
  return announce(context, context.table.getRunning(sandboxId));
}

/** Removes a copy that was not announced. */
export async function giveUp(context: OperationContext, sandboxId: string, err: unknown): Promise<void> {
  context.host.logger.error({ sandboxId, cause: 'unconfirmed', err }, 'copy could not be created');
  await context.abandon(sandboxId);
}

function createRecord(
  { host, clock }: OperationContext,
  { source, cause, memory, rootfs }: CopyOrder,
  sandboxId: string,
  tenantOf: ((sandboxId: string) => Tenant) | undefined,
): HostRecord {
  // Before the slot is taken: it throws when the template was removed.
  const ground = readRootIdentity(rootfs);
  return {
    formatVersion: 2,
    sandboxId,
    state: 'restoring',
    cause,
    stateSinceMs: clock.now(),
    slot: host.slots.take(),
    templateId: source.templateId,
    driver: source.driver,
    runtimeName: memory === undefined ? bundleNameOf(host) : source.runtimeName,
    hostToken: randomBytes(32).toString('hex'),
    generation: randomUUID(),
    cpuCount: source.cpuCount,
    memoryMb: source.memoryMb,
    diskMb: source.diskMb,
    layers: source.layers,
    disk: 'new',
    ground,
    pagesFrom: memory !== undefined && comesLate(memory) ? source.stateId : '',
    waitsForRoom: false,
    volumes: source.volumes,
    ...(tenantOf === undefined ? {} : { tenant: tenantOf(sandboxId) }),
  };
}

function announce(context: OperationContext, sandbox: RunningSandbox): RunningSandbox {
  const { sandboxId, templateId } = sandbox.record;
  context.metrics.add(sandbox);
  context.logBook.write(sandboxId, 'sandbox created', { templateID: templateId });
  context.events.emit({ kind: 'created', record: sandbox.record });
  return sandbox;
}
