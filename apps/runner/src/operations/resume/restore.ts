import { randomUUID } from 'node:crypto';
import { phase, sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { DiskDigests } from '@soulbox/checkpoints';
import { readBootId } from '../../host/boot-id.ts';
import { checkLayers, checkMemory, comesLate } from '../../processes/check-memory.ts';
import type { CheckedMemory } from '../../processes/check-memory.ts';
import { findTemplate } from '../../processes/find-template.ts';
import { checkKeptDisk, readRootIdentity } from '../../processes/sandbox-disk.ts';
import { getDriver, bundleNameOf } from '../../processes/sandbox-host.ts';
import { startProcesses } from '../../processes/start-processes.ts';
import { confirmResumed, reinitialize } from '../../processes/tell-envd.ts';
import type { HostRecord, Work } from '../../registry/record.ts';
import type { Live, RecordChange, TenantSandbox } from '../../registry/table.ts';
import { keepDamaged } from '../end.ts';
import { fitDiskToRoot } from '../layers/disk-to-layer.ts';
import type { OperationContext } from '../operation-context.ts';
import { endKeepingDisk, recordPaused } from '../pause/finish-pause.ts';
import { pauseUnconfirmed } from '../pause/pause-unconfirmed.ts';
import {
  filesNotBootedError,
  isMemoryStale,
  memoryDroppedError,
  tellMemoryDropped,
  withoutMemory,
} from './stale-memory.ts';

/**
 * Resumes a paused sandbox, with its memory or with a fresh envd on its files. Called with the lock held. After any
 * failure the sandbox is paused. Throws `sandbox_resume_failed`, `state_damaged`, `state_incompatible`,
 * `too_many_sandboxes`.
 */
export async function resumePaused(
  context: OperationContext,
  sandbox: TenantSandbox,
  withMemory: boolean,
  change: RecordChange,
): Promise<void> {
  const { saved, layers } = sandbox.record;
  if (saved === undefined) throw new Error('a paused sandbox has no checkpoint');
  const { stateId: checkpointId, hasMemory, isDamaged } = saved;
  using _admitted = context.admission.enter();
  {
    using _hold = context.references.hold({ checkpoints: [checkpointId], layers });
    await using memory = await phase(
      'check',
      async () => await checkSaved(context, sandbox, withMemory && hasMemory ? saved : undefined),
    );
    const late = memory === undefined ? {} : { pagesFrom: comesLate(memory) ? checkpointId : '' };
    await restoreSandbox(context, sandbox, { memory, change: { ...change, ...late } });
  }
  // Only now: a failed resume needs the checkpoint again.
  context.background.start(async () => {
    if (isDamaged === true) await keepDamaged(context, sandbox.record, checkpointId);
    await context.references.drop(checkpointId);
  });
}

/** Checks the data that a sandbox is restored from. With `saved` undefined the memory is not checked. */
async function checkSaved(
  { host }: OperationContext,
  { record }: TenantSandbox,
  saved: HostRecord['saved'],
): Promise<CheckedMemory | undefined> {
  const { layers, driver, runtimeName } = record;
  const [memory] = await Promise.all([
    saved === undefined
      ? checkLayers(host, layers)
      : checkMemory(
          host,
          { ...saved, checkpointId: saved.stateId, layers, driver, runtimeName },
          { owner: 'itself', sandboxId: record.sandboxId },
        ),
    checkKeptDisk(host, record),
  ]);
  return memory ?? undefined;
}

export interface Restoration {
  /** Undefined: a fresh envd is started on the files. */
  readonly memory: CheckedMemory | undefined;
  /** Change of the record with the step to `running`. */
  readonly change: RecordChange;
}

/**
 * Takes a sandbox from `paused` through `resuming` to `running`, or back to `paused`. The source of a snapshot stays in
 * `snapshotting` meanwhile. The caller has checked what is restored; nothing of it is changed.
 */
export async function restoreSandbox(
  context: OperationContext,
  sandbox: TenantSandbox,
  restoration: Restoration,
): Promise<void> {
  const { table } = context;
  const hadFilesOnly = sandbox.record.saved?.hasMemory === false;
  const rootfs = await findRootfs(context, sandbox);
  await phase('disk', async () => await fitDiskToRoot(context, sandbox, rootfs)).catch((error: unknown) => {
    context.host.logger.error(
      { sandboxId: sandbox.record.sandboxId, err: error },
      'moved disk could not be turned into a layer',
    );
    throw explainResumeFailure(error, sandbox, hadFilesOnly);
  });
  await beginRestore(context, sandbox, rootfs, restoration);
  try {
    const live = await startProcesses(context.host, sandbox.record, rootfs, restoration.memory);
    sandbox.live = live;
    if (restoration.memory === undefined) context.logBook.expectNewEnvd(sandbox.record.sandboxId);
    if (restoration.memory === undefined) await reinitialize(context, sandbox, live);
    else await confirmWhatArrives(context, sandbox, live, restoration.memory);
  } catch (error) {
    context.host.logger.error({ sandboxId: sandbox.record.sandboxId, err: error }, 'sandbox could not be resumed');
    // A driver that saw the damage has removed what would tell it.
    const isDamaged = error instanceof SoulBoxError && error.reason === 'state_damaged';
    if (!(await pauseUnconfirmed(context, sandbox))) await undoRestore(context, sandbox, isDamaged);
    throw explainResumeFailure(error, sandbox, hadFilesOnly);
  }
  const work = sandbox.record.work?.from === 'running' ? sandbox.record.work : undefined;
  await table.step(sandbox, 'running', { ...restoration.change, disk: 'kept', saved: undefined, work });
  context.metrics.add(sandbox);
}

/** How long a sandbox whose memory still arrives may take to confirm, if the store is away meanwhile. Milliseconds. */
const arrivalMaxMs = 300_000;

/** Its memory is lost if it is given up now, because it has run. So a store that is away or slow is waited for. */
async function confirmWhatArrives(
  context: OperationContext,
  sandbox: TenantSandbox,
  live: Live,
  { whole }: CheckedMemory,
): Promise<void> {
  try {
    await confirmResumed(context, sandbox, live, false);
  } catch (error) {
    if (whole === undefined) throw error;
    const patience = new AbortController();
    const over = sleepUnlessAborted(arrivalMaxMs, patience.signal).then(
      () => false,
      () => false,
    );
    const all = whole.then(
      () => true,
      () => false,
    );
    const isWhole = await Promise.race([all, over]).finally(() => patience.abort());
    if (!isWhole) throw error;
    await confirmResumed(context, sandbox, live, false);
  }
}

/** Records the intent, with the slot and the generation that the processes will have. */
async function beginRestore(
  { host, table }: OperationContext,
  sandbox: TenantSandbox,
  rootfs: string,
  { memory, change: { pagesFrom = '' } }: Restoration,
): Promise<void> {
  const afresh = memory === undefined;
  const bundle = afresh ? { runtimeName: bundleNameOf(host) } : {};
  const ground = sandbox.record.disk === 'new' ? { ground: readRootIdentity(rootfs) } : {};
  const change = { slot: host.slots.take(), generation: randomUUID(), ...bundle, ...ground };
  try {
    if (sandbox.record.state === 'snapshotting') await table.update(sandbox, change);
    // A server that adopts what runs by then must keep what its memory is still loaded from.
    else await table.step(sandbox, 'resuming', { ...change, pagesFrom, work: resumeWork(!afresh) });
  } catch (error) {
    host.slots.release(change.slot);
    throw error;
  }
}

function resumeWork(keepMemory: boolean): Work {
  const nothing = { stateId: '', layerId: '', mayRun: false };
  return { from: 'paused', bootId: readBootId(), ...nothing, keepMemory, promised: true };
}

/**
 * Takes a half-restored sandbox back to `paused`, also one that an earlier server left. Its disk was mounted, so it is
 * digested again. Memory that no longer fits the disk is dropped, and the sandbox keeps its files. `isDamaged`: the
 * memory is known to be.
 */
export async function undoRestore(context: OperationContext, sandbox: TenantSandbox, isDamaged = false): Promise<void> {
  const { saved, driver, sandboxId } = sandbox.record;
  // Its pager may have ended it before it was confirmed. Only a folder that is still there tells.
  const why = await getDriver(context.host, driver).whyEnded(sandboxId, context.host.store.directoryOf(sandboxId));
  const disk = await clearRestore(context, sandbox);
  const isStale = await isMemoryStale(context, sandbox);
  const unchanged = saved === undefined ? {} : { saved: { ...saved, disk } };
  const change = isStale ? withoutMemory(context, sandbox, disk, isDamaged || why === 'damaged') : unchanged;
  await recordPaused(context, sandbox, { ...change, pagesFrom: '' });
  if (isStale) tellMemoryDropped(context, sandbox);
}

/**
 * Ends what was started. Keeps the disk and returns its digests. A disk that was made for the restore is empty and
 * removed.
 */
export async function clearRestore(
  context: OperationContext,
  sandbox: TenantSandbox,
): Promise<DiskDigests | undefined> {
  const { host } = context;
  const { sandboxId, disk, driver } = sandbox.record;
  const digests = await endKeepingDisk(context, sandbox);
  if (disk === 'new') await getDriver(host, driver).destroy(sandboxId, host.store.directoryOf(sandboxId));
  return digests;
}

async function findRootfs(context: OperationContext, { record }: TenantSandbox): Promise<string> {
  const template = await findTemplate(context, record.templateId);
  if (template !== undefined) return template.rootfs;
  throw new SoulBoxError(
    'sandbox_resume_failed',
    `Template "${record.templateId}" of the sandbox is no longer on this host.`,
  );
}

/** The message is for the caller. The cause names the failed step, for the log. */
function explainResumeFailure(error: unknown, { record }: TenantSandbox, hadFilesOnly: boolean): SoulBoxError {
  if (hadFilesOnly) return filesNotBootedError(error);
  if (record.saved?.hasMemory === false) return memoryDroppedError(error);
  if (error instanceof SoulBoxError && error.reason !== 'internal') return error;
  return new SoulBoxError('sandbox_resume_failed', 'The sandbox could not be resumed. Its checkpoint is kept.', {
    cause: error,
  });
}
