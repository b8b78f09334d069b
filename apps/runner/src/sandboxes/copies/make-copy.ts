import { randomBytes, randomUUID } from 'node:crypto';
import { createSandboxId } from '@soulbox/contract';
import { startProcesses } from '../live.ts';
import type { OperationContext } from '../operation.ts';
import type { SandboxRecord, Tenant } from '../record.ts';
import { confirmResumed } from '../sleep/confirm.ts';
import { settleIn } from '../sleep/settle-in.ts';
import type { RunningSandbox, TenantSandbox } from '../table.ts';
import { sandboxToMessage } from '../to-message.ts';
import type { CopyOrder } from './order-copies.ts';

/** Makes one copy of what is sealed already. Throws what its two steps throw. */
export async function makeCopy(
  context: OperationContext,
  order: CopyOrder,
  tenantOf: (sandboxId: string) => Tenant,
): Promise<RunningSandbox> {
  return await serveCopy(context, await startCopy(context, order, tenantOf));
}

/**
 * Starts one copy: a sandbox of its own in everything but memory and files, whose envd has confirmed that it knows whose it is. One
 * that does not is removed. Nobody hears of it before `serveCopy`. Throws `sandbox_resume_failed` and others of a start.
 */
export async function startCopy(
  context: OperationContext,
  order: CopyOrder,
  tenantOf: (sandboxId: string) => Tenant,
): Promise<TenantSandbox> {
  const { host, table } = context;
  const startedAt = performance.now();
  const sandboxId = createSandboxId();
  const record = createRecord(context, order, sandboxId, tenantOf(sandboxId));
  const sandbox: TenantSandbox = { record, live: undefined };
  table.add(sandbox);
  try {
    await table.update(sandbox, {});
    await bringUp(context, sandbox, order);
  } catch (err) {
    await giveUp(context, sandboxId, err);
    throw err;
  }
  const durationMs = Math.round(performance.now() - startedAt);
  host.logger.info({ sandboxId, cause: order.cause, durationMs }, 'sandbox copied');
  return sandbox;
}

/** Makes a copy its tenant's, and tells of it. Called when the layers that it lies on are sealed. Throws `disk_full`. */
export async function serveCopy(context: OperationContext, sandbox: TenantSandbox): Promise<RunningSandbox> {
  const { sandboxId } = sandbox.record;
  try {
    await context.table.step(sandbox, 'running', { disk: 'kept' });
  } catch (err) {
    await giveUp(context, sandboxId, err);
    throw err;
  }
  return announce(context, context.table.getRunning(sandboxId));
}

async function giveUp(context: OperationContext, sandboxId: string, err: unknown): Promise<void> {
  context.host.logger.error({ sandboxId, cause: 'unconfirmed', err }, 'copy not made');
  await context.abandon(sandboxId);
}

async function bringUp(context: OperationContext, sandbox: TenantSandbox, order: CopyOrder): Promise<void> {
  const live = await startProcesses(context.host, sandbox.record, order.rootfs, order.memory);
  sandbox.live = live;
  if (order.memory === undefined) await settleIn(context, sandbox, live);
  else await confirmResumed(context, sandbox, live, true);
}

function createRecord(
  { host, clock }: OperationContext,
  { source, cause, memory }: CopyOrder,
  sandboxId: string,
  tenant: Tenant,
): SandboxRecord & { tenant: Tenant } {
  return {
    formatVersion: 1,
    sandboxId,
    state: 'restoring',
    cause,
    stateSinceMs: clock.now(),
    slot: host.slots.take(),
    templateId: source.templateId,
    driver: source.driver,
    runtimeDirectory: memory === undefined ? host.runtime.directory : source.runtimeDirectory,
    hostToken: randomBytes(32).toString('hex'),
    generation: randomUUID(),
    cpuCount: source.cpuCount,
    memoryMb: source.memoryMb,
    diskMb: source.diskMb,
    layers: source.layers,
    disk: 'new',
    pagesFrom: '',
    waitsForRoom: false,
    tenant,
  };
}

function announce(context: OperationContext, sandbox: RunningSandbox): RunningSandbox {
  const { sandboxId, templateId } = sandbox.record;
  context.metrics.add(sandbox);
  context.logBook.write(sandboxId, 'sandbox created', { templateID: templateId });
  context.events.emit({ event: { case: 'created', value: { sandbox: sandboxToMessage(sandbox) } } });
  return sandbox;
}
