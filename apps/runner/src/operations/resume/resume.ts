import { measureOperation, SoulBoxError } from '@soulbox/base';
import type { Cause } from '@soulbox/contract';
import { illegalStep } from '../../registry/lifecycle.ts';
import type { OperationContext } from '../operation-context.ts';
import { tellUpdated } from '../operation-context.ts';
import type { RecordChange, RunningSandbox, TenantSandbox } from '../../registry/table.ts';
import { isRunning } from '../../registry/table.ts';
import { finishPause } from '../pause/finish-pause.ts';
import { recordRunning, tryThaw } from '../pause/thaw.ts';
import { memoryDroppedError, tellMemoryDropped } from './stale-memory.ts';
import { resumePaused } from './restore.ts';

export interface ResumeRequest {
  readonly timeoutSeconds: number;
  /** False: the saved memory is dropped and envd starts afresh on the files. */
  readonly withMemory: boolean;
  readonly cause: Cause;
}

export interface Resumed {
  readonly sandbox: RunningSandbox;
  /** False: it was running; its deadline may have been lengthened. */
  readonly resumed: boolean;
}

/**
 * Makes a sandbox run, whatever it was doing. Waits for a pause or snapshot in progress. Thaws a sandbox that is
 * still frozen, and only extends the deadline of a running one. After an error the sandbox is paused as before. Throws
 * `budget_spent` for a sandbox that may not run.
 */
export async function resumeSandbox(
  context: OperationContext,
  sandboxId: string,
  request: ResumeRequest,
): Promise<Resumed> {
  const { table } = context;
  table.getTenants(sandboxId);
  return await table.alone(sandboxId, async () => {
    const sandbox = table.getTenants(sandboxId);
    const resumed = !isRunning(sandbox);
    if (!isRunning(sandbox)) context.holds.check(sandbox.record.tenant);
    if (isRunning(sandbox)) await lengthen(context, sandbox, request.timeoutSeconds);
    else await resumeAlone(context, sandbox, request);
    return { sandbox: table.getRunning(sandboxId), resumed };
  });
}

async function lengthen(context: OperationContext, sandbox: RunningSandbox, seconds: number): Promise<void> {
  const { tenant } = sandbox.record;
  const endAtMs = context.clock.now() + seconds * 1000;
  if (endAtMs <= tenant.endAtMs) return;
  await context.table.update(sandbox, { tenant: { ...tenant, endAtMs } });
  tellUpdated(context, sandbox);
}

async function resumeAlone(context: OperationContext, sandbox: TenantSandbox, request: ResumeRequest): Promise<void> {
  await measureOperation('resume', async (finish) => {
    const { sandboxId } = sandbox.record;
    const change = changeFor(context, sandbox, request);
    const isFrozen = sandbox.record.state === 'pausing' && sandbox.live !== undefined;
    const thawed = isFrozen && request.withMemory && (await thawInGrace(context, sandbox));
    if (thawed) await recordRunning(context, sandbox, change);
    else {
      if (sandbox.record.state === 'pausing') await finishPause(context, sandbox);
      const { state } = sandbox.record;
      if (state === 'pausing' || state === 'resuming')
        throw new SoulBoxError('sandbox_resume_failed', `Sandbox "${sandboxId}" is still being paused. Retry.`);
      if (state !== 'paused') throw illegalStep(sandboxId, state, 'resuming');
      await resumePaused(context, sandbox, request.withMemory, change);
    }
    context.host.logger.info({ sandboxId, ...request, thawed, ...finish() }, 'sandbox resumed');
    context.logBook.write(sandboxId, 'sandbox resumed', { cause: request.cause });
    tellUpdated(context, sandbox);
  });
}

/**
 * Thaws a frozen sandbox. Before anything runs, the record gives up the checkpoint. Returns false when the sandbox
 * cannot be thawed, because a process or a tool was killed, and its checkpoint is complete: the caller restores it.
 * Without a checkpoint it counts as thawed, and the deadline loop ends it. Throws `sandbox_resume_failed` when it may
 * have run: it is then paused with its files only.
 */
async function thawInGrace(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { table, host } = context;
  const { work } = sandbox.record;
  if (work === undefined) return true;
  await table.update(sandbox, { work: { ...work, mayRun: true } });
  const thawed = await tryThaw(context, sandbox);
  if (thawed === 'goes-on') return true;
  if (thawed === 'has-not-run') await table.note(sandbox, { work });
  if ((await host.checkpoints.find(work.stateId)) === undefined) return true;
  if (thawed === 'may-have-run' && work.keepMemory) await restOnFiles(context, sandbox);
  return false;
}

/** The saved memory must not run again: the sandbox may have written to its disk since. */
async function restOnFiles(context: OperationContext, sandbox: TenantSandbox): Promise<never> {
  await context.table.note(sandbox, { cause: 'resume_failed', stateSinceMs: context.clock.now() });
  await finishPause(context, sandbox);
  tellMemoryDropped(context, sandbox);
  throw memoryDroppedError(undefined);
}

/** A resume sets a new deadline. The timeout is kept for a later resume by traffic. */
function changeFor(context: OperationContext, { record }: TenantSandbox, request: ResumeRequest): RecordChange {
  const now = context.clock.now();
  const { tenant } = record;
  const lifecycle = { ...tenant.lifecycle, timeoutSeconds: request.timeoutSeconds };
  const endAtMs = now + request.timeoutSeconds * 1000;
  return { cause: request.cause, stateSinceMs: now, tenant: { ...tenant, lifecycle, endAtMs } };
}
