import { SoulBoxError } from '@soulbox/base';
import type { DiskDigests } from '@soulbox/checkpoints';
import { readBootId } from '../../host/boot-id.ts';
import { getDriver } from '../../processes/sandbox-host.ts';
import type { OperationContext } from '../operation-context.ts';
import { tellUpdated } from '../operation-context.ts';
import type { RecordChange, TenantSandbox } from '../../registry/table.ts';

/**
 * Whether an unfinished resume has changed the disk that the saved memory belongs to. Such memory must never run again:
 * it would rely on data that was overwritten, and on files whose size has changed.
 */
export async function isMemoryStale(
  { host }: Pick<OperationContext, 'host'>,
  { record }: TenantSandbox,
): Promise<boolean> {
  const { sandboxId, disk, work, driver, generation } = record;
  // A disk that was made for the resume is removed with it. The layers below are unchanged.
  if (disk === 'new') return false;
  // A fresh start clears what a reboot clears before envd runs.
  if (work?.keepMemory === false) return true;
  // A mark that was set just before the host crashed may not have reached its disk.
  if (work !== undefined && work.bootId !== readBootId()) return true;
  return await getDriver(host, driver).hasRunAgain(sandboxId, host.store.directoryOf(sandboxId), generation);
}

/**
 * The new record of a sandbox with stale memory: it keeps only its files, as its processes last wrote them. `isDamaged`:
 * its checkpoint must not be lost, because its pages do not match their digests.
 */
export function withoutMemory(
  { clock }: Pick<OperationContext, 'clock'>,
  { record }: TenantSandbox,
  disk: DiskDigests | undefined,
  isDamaged = false,
): RecordChange {
  if (record.saved === undefined) return {};
  const saved = { ...record.saved, hasMemory: false, disk, ...(isDamaged ? { isDamaged } : {}) };
  return { saved, cause: 'resume_failed', stateSinceMs: clock.now() };
}

/** Called after the record was updated. */
export function tellMemoryDropped(context: OperationContext, sandbox: TenantSandbox): void {
  const { sandboxId } = sandbox.record;
  context.host.logger.error({ sandboxId }, 'memory discarded: the disk may have been written to after it was saved');
  context.logBook.write(sandboxId, 'memory discarded after a failed resume; the files are kept');
  tellUpdated(context, sandbox);
}

/** The message is for the caller. The cause names the failed step, for the log. */
export function memoryDroppedError(cause: unknown): SoulBoxError {
  const message =
    'The sandbox could not be restored. Its processes are lost, but its files are kept: the next resume boots it from them.';
  return new SoulBoxError('sandbox_resume_failed', message, { cause });
}

/** As `memoryDroppedError`, of a sandbox that had only its files before. */
export function filesNotBootedError(cause: unknown): SoulBoxError {
  const message = 'The sandbox could not be booted from its files. They are kept.';
  return new SoulBoxError('sandbox_resume_failed', message, { cause });
}
