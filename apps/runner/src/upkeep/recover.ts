import { openNamespace } from '@soulbox/network';
import { keepStopped } from './brake.ts';
import { keepDamaged } from '../operations/end.ts';
import { getDriver, removeSandbox, bundleNameOf } from '../processes/sandbox-host.ts';
import type { SandboxHost } from '../processes/sandbox-host.ts';
import { policyOf } from '../registry/network-policy.ts';
import { isTenantState } from '../registry/lifecycle.ts';
import { liveFrom } from '../processes/start-processes.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import type { Pool } from '../pool/pool.ts';
import type { HostRecord } from '../registry/record.ts';
import { recoverStep } from './recover-step.ts';
import { isRunning, isTenants } from '../registry/table.ts';
import type { KnownSandbox, Live, TenantSandbox } from '../registry/table.ts';

/** More would only use descriptors. The adoptions wait for processes that run already. */
const adoptedAtOnce = 64;

export interface Recovery {
  /** Sandboxes of tenants that were taken over, paused ones included. */
  readonly adopted: number;
  /** Warm spares that were taken over. */
  readonly spares: number;
  /** Half-made, half-ended, dead and stray sandboxes that were removed. */
  readonly removed: number;
}

/**
 * The first thing that a new server does. It takes over every sandbox that runs or is paused, completes or undoes
 * unfinished steps, and removes everything else, including kernel objects that no record mentions.
 */
export async function recoverSandboxes(context: OperationContext, pool: Pool): Promise<Recovery> {
  const { host, table } = context;
  const { records, unreadable, strays } = await host.store.load();
  for (const sandboxId of unreadable) await setAside(host, sandboxId);
  const doomed: HostRecord[] = [];
  const spares: KnownSandbox[] = [];
  // Before any sandbox gets another slot, and before anything is made in a slot that is in use.
  for (const sandbox of claimSlots(host, await findLeft(context, records))) {
    const { record } = sandbox;
    if (isTenants(sandbox) && (await takeOver(context, sandbox))) continue;
    if (record.state === 'warm' && (await putBack(context, pool, sandbox))) spares.push(sandbox);
    else doomed.push(sandbox.record);
  }
  for (const record of doomed) {
    if (await endedDamaged(context, record)) await keepDamaged(context, record, record.pagesFrom);
    await removeSandbox(host, record);
  }
  const removedStrays = await removeStrays(context, strays);
  await context.references.collect();
  return { adopted: table.tenants().length, spares: spares.length, removed: doomed.length + removedStrays };
}

/** In the order of the records. They are adopted independently, since a driver may have to wait for one of them. */
async function findLeft(context: OperationContext, records: readonly HostRecord[]): Promise<KnownSandbox[]> {
  const left: KnownSandbox[] = records.map((record) => ({ record, live: undefined }));
  const queue = left.values();
  const worker = async (): Promise<void> => {
    for (const sandbox of queue) {
      const { state } = sandbox.record;
      // Sandboxes in other states were never announced, or are being removed.
      if (isTenantState(state) || state === 'warm') sandbox.live = await adopt(context, sandbox.record);
    }
  };
  await Promise.all(Array.from({ length: adoptedAtOnce }, worker));
  return left;
}

/**
 * Two records may name the same slot: a sandbox without processes has released it, another one has taken it, and the
 * server died before the first record was updated. The slot belongs to the sandbox that has processes in it, or else to
 * that of a tenant. The other one gets no slot.
 */
function claimSlots(host: SandboxHost, left: readonly KnownSandbox[]): readonly KnownSandbox[] {
  const rank = ({ record, live }: KnownSandbox): number =>
    live !== undefined ? 0 : isTenantState(record.state) ? 1 : 2;
  for (const sandbox of left.toSorted((one, other) => rank(one) - rank(other))) {
    const { slot } = sandbox.record;
    if (slot !== 0 && !host.slots.claim(slot)) sandbox.record = { ...sandbox.record, slot: 0 };
  }
  return left;
}

/** Also for a sandbox that ended while no server ran. */
async function endedDamaged({ host }: OperationContext, { cause, driver, sandboxId }: HostRecord): Promise<boolean> {
  if (cause === 'damaged') return true;
  return (await getDriver(host, driver).whyEnded(sandboxId, host.store.directoryOf(sandboxId))) === 'damaged';
}

async function adopt({ host }: OperationContext, record: HostRecord): Promise<Live | undefined> {
  const driver = getDriver(host, record.driver);
  const instance = await driver.adopt(record.sandboxId, host.store.directoryOf(record.sandboxId));
  if (instance === undefined) return undefined;
  host.disks.watch(record.sandboxId, () => driver.openDisk(instance));
  await host.volumes.adopt(record.sandboxId);
  return liveFrom(record, driver, instance, openNamespace(instance.networkNamespace));
}

/** False when the sandbox is lost. */
async function takeOver(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { table, host } = context;
  const { sandboxId, state, slot } = sandbox.record;
  table.add(sandbox);
  // The egress process learns all policies anew. The packet filter has them, unless it was made again.
  if (sandbox.live !== undefined) await host.network.setPolicy(slot, policyOf(sandbox.record));
  const isKept = await tryRecoverStep(context, sandbox);
  if (isRunning(sandbox) && sandbox.record.waitsForRoom) await keepStopped(sandbox);
  if (isKept) host.logger.info({ sandboxId, from: state, to: sandbox.record.state }, 'sandbox adopted');
  else {
    sandbox.live?.namespace.close();
    table.delete(sandboxId);
    host.logger.error(
      { sandboxId, from: state },
      'sandbox lost: its processes are gone and it has no complete checkpoint',
    );
  }
  return isKept;
}

/** A temporary failure is retried (retrySteps). No other sandbox waits for it, and nothing is lost. */
async function tryRecoverStep(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  try {
    return await recoverStep(context, sandbox);
  } catch (err) {
    context.host.logger.error({ sandboxId: sandbox.record.sandboxId, err }, 'sandbox could not be recovered yet');
    return true;
  }
}

/** Puts a spare with the present envd back on its shelf. */
async function putBack(
  { host, table, templates }: OperationContext,
  pool: Pool,
  sandbox: KnownSandbox,
): Promise<boolean> {
  const { record, live } = sandbox;
  const template = await templates.find(record.templateId);
  if (live !== undefined && template !== undefined && record.runtimeName === bundleNameOf(host)) {
    const spare = { record, live };
    table.add(spare);
    // So that its later tenant is not taken for one who was there before this runner.
    await host.network.setPolicy(record.slot, policyOf(record));
    pool.put({ kind: 'template', template, isolation: record.driver }, spare);
    return true;
  }
  live?.namespace.close();
  return false;
}

/**
 * A sandbox whose record is damaged still belongs to its tenant. Its disk and its record are kept for inspection, and
 * its processes end.
 */
async function setAside(host: SandboxHost, sandboxId: string): Promise<void> {
  await host.volumes.release(sandboxId);
  for (const driver of host.drivers.values()) await driver.suspend(sandboxId, host.store.directoryOf(sandboxId));
  const folder = await host.store.setAside(sandboxId);
  host.logger.error({ sandboxId, folder }, 'record of a sandbox is unreadable; it is set aside with its disk');
}

/** Folders without a record, and traces in the kernel without a folder. */
async function removeStrays({ host, table }: OperationContext, strays: readonly string[]): Promise<number> {
  await host.volumes.releaseExcept((sandboxId) => table.find(sandboxId) !== undefined);
  const removed = new Set<string>();
  for (const driver of host.drivers.values()) {
    const unknown = [...strays, ...(await driver.listTraces())].filter((id) => table.find(id) === undefined);
    for (const sandboxId of new Set(unknown)) {
      host.logger.warn({ sandboxId, driver: driver.name }, 'removing remains of a stray sandbox');
      await driver.destroy(sandboxId, host.store.directoryOf(sandboxId));
      await host.store.remove(sandboxId);
      removed.add(sandboxId);
    }
  }
  const slots = new Set(table.all().map(({ record }) => record.slot));
  const strayInterfaces = host.network.listTraces().filter((slot) => !slots.has(slot));
  for (const slot of strayInterfaces) await host.network.detach(slot);
  return removed.size + strayInterfaces.length;
}
