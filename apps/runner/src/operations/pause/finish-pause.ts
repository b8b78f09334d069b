import { phase } from '@soulbox/base';
import type { Checkpoint, DiskDigests } from '@soulbox/checkpoints';
import { freeSlot, getDriver } from '../../processes/sandbox-host.ts';
import { settleUsage } from '../../processes/egress-usage.ts';
import type { SandboxHost } from '../../processes/sandbox-host.ts';
import { disconnect } from '../../processes/start-processes.ts';
import type { OperationContext } from '../operation-context.ts';
import type { HostRecord } from '../../registry/record.ts';
import type { TenantSandbox } from '../../registry/table.ts';
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
    const rest = { slot: 0, disk: 'kept', pagesFrom: '', work: undefined, waitsForRoom: false } as const;
    await context.table.step(sandbox, 'paused', { saved, ...rest });
    context.activity.forget(sandboxId);
    context.background.start(async () => await context.references.drop(pagesFrom));
    return true;
  } catch (err) {
    context.host.logger.error({ sandboxId, err }, 'pause could not be completed yet');
    return false;
  }
}

/**
 * Ends processes and network, keeps the disk and digests it, since nothing writes to it any more, and flushes volumes.
 * Safe to repeat.
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
        freeSlot(host, sandbox.record.slot),
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
