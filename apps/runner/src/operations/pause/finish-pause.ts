import { phase } from '@soulbox/base';
import type { Checkpoint, DiskDigests } from '@soulbox/checkpoints';
import { detachNetwork, getDriver } from '../../processes/sandbox-host.ts';
import { settleUsage } from '../../processes/egress-usage.ts';
import type { SandboxHost } from '../../processes/sandbox-host.ts';
import { disconnect } from '../../processes/start-processes.ts';
import type { OperationContext } from '../operation-context.ts';
import type { HostRecord } from '../../registry/record.ts';
import type { RecordChange, TenantSandbox } from '../../registry/table.ts';
import { digestKeptDisk } from '../../processes/sandbox-disk.ts';

/**
 * The last part of a pause, after its checkpoint is sealed. Ends the processes and frees everything that the sandbox
 * held, except its disk. The record says `paused` only after the disk is written out and digested. Never throws.
 * Returns false when something failed; the deadline loop, a resume or the next server tries again.
 */
export async function finishPause(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { sandboxId, work, pagesFrom } = sandbox.record;
  try {
    const sealed = await context.host.checkpoints.open(work?.stateId ?? '');
    const disk = await endKeepingDisk(context, sandbox);
    const { hasMemory, ...state } = savedFrom(sealed);
    const saved = { ...state, hasMemory: hasMemory && work?.mayRun !== true, disk };
    await recordPaused(context, sandbox, { saved, disk: 'kept', pagesFrom: '', waitsForRoom: false });
    context.activity.forget(sandboxId);
    context.background.start(async () => await context.references.drop(pagesFrom));
    return true;
  } catch (err) {
    context.host.logger.error({ sandboxId, err }, 'pause could not be completed yet');
    return false;
  }
}

/**
 * Takes the step to `paused` once nothing of the sandbox runs any more. Its slot is released last: as long as the record
 * names the slot, a retry detaches the network of the slot, which must not belong to another sandbox by then. Throws
 * `disk_full` and other errors of the disk, with the slot kept.
 */
export async function recordPaused(
  { table, host }: Pick<OperationContext, 'table' | 'host'>,
  sandbox: TenantSandbox,
  change: RecordChange,
): Promise<void> {
  const { slot } = sandbox.record;
  await table.step(sandbox, 'paused', { ...change, slot: 0, work: undefined });
  if (slot !== 0) host.slots.release(slot);
}

/**
 * Ends processes and network, digests the disk, since nothing writes to it any more, and flushes volumes. Keeps the disk
 * and the slot. Safe to repeat.
 */
export async function endKeepingDisk(
  context: Pick<OperationContext, 'host' | 'table'>,
  sandbox: TenantSandbox,
): Promise<DiskDigests | undefined> {
  const { host } = context;
  await settleUsage(context, sandbox);
  await phase('end', async () => await endProcesses(host, sandbox));
  const [disk] = await phase(
    'digest',
    async () =>
      await Promise.all([
        digestKeptDisk(host, sandbox.record),
        detachNetwork(host, sandbox.record.slot),
        host.volumes.sync(sandbox.record.volumes),
      ]),
  );
  return disk;
}

/** Ends the processes. Keeps the disk and the slot. Safe to repeat. */
export async function endProcesses(host: SandboxHost, sandbox: TenantSandbox): Promise<void> {
  const { sandboxId, driver } = sandbox.record;
  disconnect(sandbox);
  await host.volumes.release(sandboxId);
  await getDriver(host, driver).suspend(sandboxId, host.store.directoryOf(sandboxId));
}

export function savedFrom(checkpoint: Checkpoint): NonNullable<HostRecord['saved']> {
  return {
    stateId: checkpoint.checkpointId,
    hasMemory: checkpoint.manifest.facts.hasMemory,
    sizeBytes: checkpoint.sizeBytes,
    isEncrypted: checkpoint.key !== undefined,
  };
}
