import { SoulBoxError } from '@soulbox/base';
import type { DiskDigests } from '@soulbox/checkpoints';
import { readBootId } from '../../host/boot-id.ts';
import { getDriver } from '../../processes/sandbox-host.ts';
import type { OperationContext } from '../operation-context.ts';
import { tellUpdated } from '../operation-context.ts';
import type { RecordChange, TenantSandbox } from '../../registry/table.ts';

/**
 * Whether a resume that did not come to its end has changed the disk that the saved memory belongs to. Then that memory must never
 * run again: it would take for written what was overwritten, and for open what has another size.
 */
export async function isMemoryStale(
  { host }: Pick<OperationContext, 'host'>,
  { record }: TenantSandbox,
): Promise<boolean> {
  const { sandboxId, disk, work, driver, generation } = record;
  // A disk that was made for the resume goes with it; the layers below are as they were.
  if (disk === 'new') return false;
  // A start afresh clears what a reboot clears, before envd runs.
  if (work?.keepMemory === false) return true;
  // A mark that was set in the last moment may not have reached the host's disk.
  if (work !== undefined && work.bootId !== readBootId()) return true;
  return await getDriver(host, driver).hasRunAgain(sandboxId, host.store.directoryOf(sandboxId), generation);
}

/** What a paused sandbox is left with whose memory is spoiled: its files, as its processes had them last. */
export function withoutMemory(
  { clock }: Pick<OperationContext, 'clock'>,
  { record }: TenantSandbox,
  disk: DiskDigests | undefined,
): RecordChange {
  if (record.saved === undefined) return {};
  const saved = { ...record.saved, hasMemory: false, disk };
  return { saved, cause: 'resume_failed', stateSinceMs: clock.now() };
}

/** Called when the record says so. */
export function tellMemoryDropped(context: OperationContext, sandbox: TenantSandbox): void {
  const { sandboxId } = sandbox.record;
  context.host.logger.error({ sandboxId }, 'memory dropped: the disk may have been written to after it was saved');
  context.logBook.write(sandboxId, 'memory dropped after a failed resume; the files are kept');
  tellUpdated(context, sandbox);
}

/** What the caller may read; the step that failed is in the cause, for the log. */
export function memoryDroppedError(cause: unknown): SoulBoxError {
  const message =
    'The sandbox could not be brought back. Its processes are gone, its files are kept: the next resume starts on them.';
  return new SoulBoxError('sandbox_resume_failed', message, { cause });
}
