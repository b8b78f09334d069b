import { isDiskFull } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import type { Checkpoint } from '@soulbox/checkpoints';
import { readBootId } from '../host/boot-id.ts';
import { layersAfter } from '../processes/sandbox-disk.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { confirmResumed } from '../processes/tell-envd.ts';
import { finishPause, endKeepingDisk, recordPaused, savedFrom } from '../operations/pause/finish-pause.ts';
import { thawSandbox, recordRunning, tryThaw } from '../operations/pause/thaw.ts';
import type { Thawed } from '../operations/pause/thaw.ts';
import { digestKeptDisk } from '../processes/sandbox-disk.ts';
import { clearRestore, undoRestore } from '../operations/resume/restore.ts';
import { pauseUnconfirmed } from '../operations/pause/pause-unconfirmed.ts';
import { freezeUnconnected } from '../processes/freeze.ts';
import { holdRoom, saveCheckpoint } from '../processes/save-checkpoint.ts';
import { reinitialize } from '../processes/tell-envd.ts';
import { resumePaused } from '../operations/resume/restore.ts';
import type { Live, RecordChange, RunningSandbox, TenantSandbox } from '../registry/table.ts';

/**
 * Completes or undoes the step that a dead server left a tenant's sandbox in (decision 009). Afterwards the sandbox
 * runs or is paused. Returns false when nothing is left that could run. Throws `disk_full` when the sandbox must be
 * saved and cannot: it stays frozen in its step, and is tried again.
 */
export async function recoverStep(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  await sealLayer(context, sandbox);
  switch (sandbox.record.state) {
    case 'running':
      if (sandbox.live === undefined) return false;
      await sealNewLayers(context, sandbox);
      return true;
    case 'paused':
      await digestLate(context, sandbox);
      return true;
    case 'pausing':
      return await recoverPause(context, sandbox);
    case 'resuming':
      return await recoverResume(context, sandbox);
    case 'snapshotting':
      return await recoverSnapshot(context, sandbox);
    default:
      return false;
  }
}

/** A layer gets its digests after the sandbox continues. Nothing is started on a layer without digests. */
async function sealLayer(context: OperationContext, sandbox: TenantSandbox): Promise<void> {
  const { work } = sandbox.record;
  if (work === undefined || work.layerId === '') return;
  const after = layersAfter(context, sandbox, work.layerId);
  await context.table.note(sandbox, after);
  if (after.layers.includes(work.layerId)) await context.host.checkpoints.sealLayer(work.layerId);
  if (sandbox.record.state === 'running') await context.table.note(sandbox, { work: undefined });
}

/** A copy that a server of an earlier version made may use a layer without digests. */
async function sealNewLayers({ host }: OperationContext, { record }: TenantSandbox): Promise<void> {
  for (const layerId of record.layers)
    if (!(await host.checkpoints.isSealedLayer(layerId))) await host.checkpoints.sealLayer(layerId);
}

/** Digests the disk of a sandbox that was paused without: the disk could not be read, or the server was older. */
async function digestLate({ host, table }: OperationContext, sandbox: TenantSandbox): Promise<void> {
  const { saved, disk } = sandbox.record;
  if (disk === 'new' || saved === undefined || saved.disk !== undefined) return;
  await table.update(sandbox, { saved: { ...saved, disk: await digestKeptDisk(host, sandbox.record) } });
}

/** Completes the pause when its checkpoint is sealed or its call was answered. Otherwise the sandbox runs again. */
async function recoverPause(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { work, layers } = sandbox.record;
  const isSealed = (await findCheckpoint(context, work?.stateId)) !== undefined;
  if (isRunningOn(sandbox) && work?.mayRun === true) {
    // It was about to run, or runs already. If it cannot, it is paused with its files.
    const thawed = await tryThaw(context, sandbox);
    if (thawed === 'goes-on' || !isSealed) {
      await recordRunning(context, sandbox, interruption(context));
      return true;
    }
  }
  if (!isRunningOn(sandbox) && !isSealed) return false;
  // After a crash of the host the disk may lack writes that the memory relies on.
  if (work !== undefined && isOtherBoot(sandbox))
    await context.table.update(sandbox, { work: { ...work, mayRun: true } });
  if (!isRunningOn(sandbox) || isSealed) {
    // A failure is retried (retrySteps), since the checkpoint is there.
    await finishPause(context, sandbox);
    return true;
  }
  if (work?.promised === true) {
    try {
      await freezeUnconnected(context.host, sandbox.live);
      using _room = await holdRoom(context, sandbox, work.keepMemory);
      await saveCheckpoint(context, sandbox, { checkpointId: work.stateId, keepMemory: work.keepMemory, layers });
      await finishPause(context, sandbox);
      return true;
    } catch (err) {
      // Its tenant believes that it is paused. If it ran, it could reach its deadline. It stays frozen until there is
      // room.
      if (isDiskFull(err)) throw err;
      context.host.logger.error({ sandboxId: sandbox.record.sandboxId, err }, 'promised pause could not be completed');
    }
  }
  await thawSandbox(context, sandbox, interruption(context));
  return true;
}

/**
 * Keeps a restored sandbox when its envd confirms. Otherwise the sandbox is paused: as it is now if it runs, as it was
 * if it never ran, and with its files only if that is unknown.
 */
async function recoverResume(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { work } = sandbox.record;
  const savedAnew = await findCheckpoint(context, work?.stateId);
  if (savedAnew !== undefined) await restOn(context, sandbox, savedAnew);
  else if (isRunningOn(sandbox) && (await goesOn(context, sandbox)))
    await context.table.step(sandbox, 'running', { ...interruption(context), saved: undefined, work: undefined });
  else if (!(await pauseUnconfirmed(context, sandbox))) await undoRestore(context, sandbox);
  return true;
}

/** The sandbox is frozen if the server died while it saved it. */
async function goesOn(context: OperationContext, sandbox: RunningSandbox): Promise<boolean> {
  return (await tryThaw(context, sandbox)) === 'goes-on' && (await confirms(context, sandbox, sandbox.live));
}

async function restOn(context: OperationContext, sandbox: TenantSandbox, checkpoint: Checkpoint): Promise<void> {
  const disk = await endKeepingDisk(context, sandbox);
  const saved = { ...savedFrom(checkpoint), disk };
  await recordPaused(context, sandbox, { ...interruption(context), saved, pagesFrom: '' });
}

/** The source of a snapshot is thawed, or restored from its sealed checkpoint, or at worst left paused with it. */
async function recoverSnapshot(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { table } = context;
  const { work } = sandbox.record;
  if (work?.from === 'paused') {
    await table.step(sandbox, 'paused', { work: undefined });
    return true;
  }
  const checkpoint = await findCheckpoint(context, work?.stateId);
  let mayHaveRun = work?.mayRun === true;
  if (isRunningOn(sandbox) && !(checkpoint !== undefined && wasEnding(sandbox))) {
    const thawed = await thawSource(context, sandbox);
    if (thawed === 'goes-on') return true;
    mayHaveRun ||= thawed === 'may-have-run';
  }
  if (checkpoint === undefined || isOtherBoot(sandbox)) return false;
  const { hasMemory, ...rest } = savedFrom(checkpoint);
  const disk = await clearRestore(context, sandbox);
  const { cause } = sandbox.record;
  const isStale = sandbox.record.disk === 'kept' && mayHaveRun;
  const saved = { ...rest, hasMemory: hasMemory && !isStale, disk };
  await recordPaused(context, sandbox, { ...interruption(context), saved });
  await wakeAgain(context, sandbox, cause);
  return true;
}

/**
 * Whether the processes of the source were about to end because its checkpoint was complete. Some of them may have
 * ended already. With a thaw, the rest would run without those.
 */
function wasEnding({ record }: TenantSandbox): boolean {
  const { disk, saved, work } = record;
  return disk === 'kept' && work?.mayRun !== true && saved !== undefined && saved.stateId === work?.stateId;
}

/** On its old disk it is the frozen source itself. On a new disk it is the copy that was restored on the layer. */
async function thawSource(context: OperationContext, sandbox: RunningSandbox): Promise<Thawed> {
  const { disk, work } = sandbox.record;
  const isSource = disk === 'kept';
  if (isSource && work !== undefined) await context.table.note(sandbox, { work: { ...work, mayRun: true } });
  const thawed = await tryThaw(context, sandbox);
  if (thawed !== 'goes-on') return thawed;
  if (!isSource && !(await confirms(context, sandbox, sandbox.live))) return 'may-have-run';
  await thawSandbox(context, sandbox, { saved: undefined });
  return 'goes-on';
}

async function wakeAgain(context: OperationContext, sandbox: TenantSandbox, cause: Cause): Promise<void> {
  try {
    await resumePaused(context, sandbox, true, { cause });
  } catch (err) {
    context.host.logger.error({ sandboxId: sandbox.record.sandboxId, err }, 'sandbox left paused');
  }
}

async function confirms(context: OperationContext, sandbox: TenantSandbox, live: Live): Promise<boolean> {
  try {
    if (sandbox.record.work?.keepMemory === false) await reinitialize(context, sandbox, live);
    else await confirmResumed(context, sandbox, live, false);
    return true;
  } catch (err) {
    context.host.logger.warn({ sandboxId: sandbox.record.sandboxId, err }, 'partly resumed sandbox does not respond');
    return false;
  }
}

function isRunningOn(sandbox: TenantSandbox): sandbox is RunningSandbox {
  return sandbox.live !== undefined;
}

/** Undefined also for a checkpoint that cannot be used: a frozen sandbox is thawed then. */
async function findCheckpoint({ host }: OperationContext, checkpointId = ''): Promise<Checkpoint | undefined> {
  try {
    return checkpointId === '' ? undefined : await host.checkpoints.find(checkpointId);
  } catch (err) {
    host.logger.error({ checkpointId, err }, 'checkpoint of an interrupted step cannot be used');
    return undefined;
  }
}

function isOtherBoot({ record }: TenantSandbox): boolean {
  return record.work?.bootId !== readBootId();
}

function interruption({ clock }: OperationContext): RecordChange {
  return { cause: 'interrupted', stateSinceMs: clock.now() };
}
