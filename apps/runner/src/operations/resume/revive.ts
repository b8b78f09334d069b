import { randomUUID } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import type { DiskDigests } from '@soulbox/checkpoints';
import { readBootId } from '../../host/boot-id.ts';
import { settleOnGround } from '../layers/settle-on-ground.ts';
import { readGround } from '../../processes/ground.ts';
import { getDriver, runtimeNameOf } from '../../processes/sandbox-host.ts';
import { startProcesses } from '../../processes/start-processes.ts';
import type { OperationContext } from '../operation-context.ts';
import type { Work } from '../../registry/record.ts';
import type { RecordChange, TenantSandbox } from '../../registry/table.ts';
import type { CheckedMemory } from '../../processes/check-memory.ts';
import { confirmResumed } from '../../processes/confirm.ts';
import { layToRest } from '../pause/finish-pause.ts';
import { saveAnew } from '../pause/save-anew.ts';
import { reinitialize } from '../../processes/reinitialize.ts';
import { isMemorySpoiled, memoryDroppedError, tellMemoryDropped, withoutMemory } from './spoiled.ts';

export interface Revival {
  /** Undefined: envd starts afresh on the files. */
  readonly memory: CheckedMemory | undefined;
  /** Goes into the record with the step to `running`. */
  readonly change: RecordChange;
}

/**
 * From `paused` through `resuming` to `running`, or back to `paused`; the source of a snapshot stays in `snapshotting` meanwhile.
 * What is saved has been checked and is not touched.
 */
export async function revive(context: OperationContext, sandbox: TenantSandbox, revival: Revival): Promise<void> {
  const { table } = context;
  const rootfs = await findRootfs(context, sandbox);
  await settleOnGround(context, sandbox, rootfs).catch((error: unknown) => {
    context.host.logger.error({ sandboxId: sandbox.record.sandboxId, err: error }, 'moved disk not made a layer');
    throw explainResumeFailure(error, sandbox);
  });
  await beginRevival(context, sandbox, rootfs, revival.memory === undefined);
  try {
    const live = await startProcesses(context.host, sandbox.record, rootfs, revival.memory);
    sandbox.live = live;
    if (revival.memory === undefined) await reinitialize(context, sandbox, live);
    else await confirmResumed(context, sandbox, live, false);
  } catch (error) {
    context.host.logger.error({ sandboxId: sandbox.record.sandboxId, err: error }, 'sandbox not resumed');
    if (!(await saveAnew(context, sandbox))) await undoRevival(context, sandbox);
    throw explainResumeFailure(error, sandbox);
  }
  const work = sandbox.record.work?.from === 'running' ? sandbox.record.work : undefined;
  await table.step(sandbox, 'running', { ...revival.change, disk: 'kept', saved: undefined, work });
  context.metrics.add(sandbox);
}

/** The intent, with the slot and the generation that the processes will have. */
async function beginRevival(
  { host, table }: OperationContext,
  sandbox: TenantSandbox,
  rootfs: string,
  afresh: boolean,
): Promise<void> {
  const runtime = afresh ? { runtimeName: runtimeNameOf(host) } : {};
  const ground = sandbox.record.disk === 'new' ? { ground: readGround(rootfs) } : {};
  const change = { slot: host.slots.take(), generation: randomUUID(), ...runtime, ...ground };
  try {
    if (sandbox.record.state === 'snapshotting') await table.update(sandbox, change);
    else await table.step(sandbox, 'resuming', { ...change, work: resumeWork(!afresh) });
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
 * Also for what an earlier server left half revived. A kept disk has been mounted meanwhile, so it is digested anew. Memory that does
 * not belong to it any more is dropped, and the sandbox keeps its files.
 */
export async function undoRevival(context: OperationContext, sandbox: TenantSandbox): Promise<void> {
  const { saved } = sandbox.record;
  const disk = await clearRevival(context, sandbox);
  const isSpoiled = await isMemorySpoiled(context, sandbox);
  const unchanged = saved === undefined ? {} : { saved: { ...saved, disk } };
  const change = isSpoiled ? withoutMemory(context, sandbox, disk) : unchanged;
  await context.table.step(sandbox, 'paused', { ...change, slot: 0, pagesFrom: '', work: undefined });
  if (isSpoiled) tellMemoryDropped(context, sandbox);
}

/** Leaves a kept disk, and gives its digests. One that was made for the revival holds nothing yet and goes. */
export async function clearRevival(
  context: OperationContext,
  sandbox: TenantSandbox,
): Promise<DiskDigests | undefined> {
  const { host } = context;
  const { sandboxId, disk, driver } = sandbox.record;
  const digests = await layToRest(context, sandbox);
  if (disk === 'new') await getDriver(host, driver).destroy(sandboxId, host.store.directoryOf(sandboxId));
  return digests;
}

async function findRootfs({ templates }: OperationContext, { record }: TenantSandbox): Promise<string> {
  const template = await templates.find(record.templateId);
  if (template !== undefined) return template.rootfs;
  throw new SoulBoxError(
    'sandbox_resume_failed',
    `Template "${record.templateId}" of the sandbox is no longer on this host.`,
  );
}

/** What the caller may read; the step that failed is in the cause, for the log. */
function explainResumeFailure(error: unknown, { record }: TenantSandbox): SoulBoxError {
  if (record.saved?.hasMemory === false) return memoryDroppedError(error);
  if (error instanceof SoulBoxError && error.reason !== 'internal') return error;
  return new SoulBoxError('sandbox_resume_failed', 'The sandbox could not be resumed. Its checkpoint is kept.', {
    cause: error,
  });
}
