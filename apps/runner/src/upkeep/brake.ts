import type { OperationContext } from '../operations/operation-context.ts';
import { tellUpdated } from '../operations/operation-context.ts';
import type { RunningSandbox } from '../registry/table.ts';
import { isRunning } from '../registry/table.ts';

export type BrakeContext = Pick<OperationContext, 'table' | 'events' | 'logBook' | 'host'>;

/**
 * Freezes a sandbox until there is room on the host's disk. It is not saved, since that would take room. A sandbox that
 * is busy with a step is left out this time. The record is written first, so that the next server knows why the sandbox
 * is frozen.
 */
export async function stopForRoom(context: BrakeContext, sandboxId: string): Promise<void> {
  await withIdle(context, sandboxId, async (sandbox) => {
    if (sandbox.record.waitsForRoom) return;
    await change(context, sandbox, true);
    await sandbox.live.driver.freeze(sandbox.live.instance);
    context.host.logger.warn({ sandboxId }, 'sandbox frozen: the disk of the host is nearly full');
    context.logBook.write(sandboxId, 'sandbox frozen: the disk of the host is nearly full');
  });
}

/** Thaws it and records that afterwards. After a crash in between, the next server thaws it again. */
export async function thawWithRoom(context: BrakeContext, sandboxId: string): Promise<void> {
  await withIdle(context, sandboxId, async (sandbox) => {
    if (!sandbox.record.waitsForRoom) return;
    context.host.disks.release(sandboxId);
    await sandbox.live.driver.thaw(sandbox.live.instance);
    await change(context, sandbox, false);
    context.host.logger.info({ sandboxId }, 'sandbox continues: the host has disk space again');
    context.logBook.write(sandboxId, 'sandbox continues: the host has disk space again');
  });
}

/** Freezes a sandbox that an earlier server was to stop. That server may have died before it did. */
export async function keepStopped(sandbox: RunningSandbox): Promise<void> {
  await sandbox.live.driver.freeze(sandbox.live.instance);
}

async function withIdle(
  { table }: BrakeContext,
  sandboxId: string,
  act: (sandbox: RunningSandbox) => Promise<void>,
): Promise<void> {
  if (table.isBusy(sandboxId)) return;
  await table.alone(sandboxId, async () => {
    const sandbox = table.find(sandboxId);
    if (sandbox !== undefined && isRunning(sandbox)) await act(sandbox);
  });
}

async function change(context: BrakeContext, sandbox: RunningSandbox, waitsForRoom: boolean): Promise<void> {
  const before = sandbox.record;
  try {
    await context.table.update(sandbox, { waitsForRoom, cause: waitsForRoom ? 'host_disk_full' : 'host_disk_free' });
  } catch (error) {
    sandbox.record = before;
    throw error;
  }
  tellUpdated(context, sandbox);
}
