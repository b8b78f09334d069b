import { setTimeout as delay } from 'node:timers/promises';
import { isDiskFull, measureOperation } from '@soulbox/base';
import type { OperationContext } from '../operation-context.ts';
import { tellUpdated } from '../operation-context.ts';
import type { RunningSandbox, TenantSandbox } from '../../registry/table.ts';
import { finishPause } from './finish-pause.ts';
import { thawSandbox } from './thaw.ts';
import { saveCheckpoint } from '../../processes/save-checkpoint.ts';

/** Time until the next try for a sandbox whose deadline passed while its pause failed. */
const respiteMs = 60_000;

/**
 * Completes a pause that has been answered already. Saves the frozen sandbox, keeps it frozen for the grace period, in
 * which a resume is only a thaw, and then ends its processes. When saving fails the sandbox runs again, and its record
 * says why. On a full disk it stays frozen until there is room. `room` on the host's disk is held until the sandbox is
 * saved.
 */
export function completeLater(context: OperationContext, sandbox: RunningSandbox, room: Disposable): void {
  context.background.start(async (stopping) => {
    const { sandboxId, work } = sandbox.record;
    const isOurs = (): boolean => sandbox.record.state === 'pausing' && sandbox.record.work?.stateId === work?.stateId;
    const save = async (): Promise<boolean> => {
      using _room = room;
      return await context.table.alone(sandboxId, async () => isOurs() && (await saveOrThaw(context, sandbox)));
    };
    if (!(await save())) return;
    const graceMs = context.host.config.pauseGraceSeconds * 1000;
    await delay(graceMs, undefined, { signal: stopping }).catch(() => undefined);
    // It stays frozen: the next server finds the sealed checkpoint and completes the pause.
    if (stopping.aborted) return;
    await context.table.alone(sandboxId, async () => {
      if (isOurs()) await finishPause(context, sandbox);
    });
  });
}

/** Called with the lock held. */
async function saveOrThaw(context: OperationContext, sandbox: RunningSandbox): Promise<boolean> {
  const { sandboxId, work, layers } = sandbox.record;
  if (work === undefined) return false;
  const { logger } = context.host;
  try {
    await measureOperation('background-save', async (finish) => {
      await saveCheckpoint(context, sandbox, { checkpointId: work.stateId, keepMemory: work.keepMemory, layers });
      logger.info({ sandboxId, ...finish() }, 'paused sandbox saved in the background');
    });
    return true;
  } catch (err) {
    logger.error({ sandboxId, err }, 'background pause failed');
    // Its tenant believes that it is paused. If it ran, it could reach its deadline. `retrySteps` saves it once there
    // is room.
    if (isDiskFull(err)) return false;
    await endPromise(context, sandbox);
    return false;
  }
}

/** Takes back the promise of a pause. */
async function endPromise(context: OperationContext, sandbox: TenantSandbox): Promise<void> {
  const now = context.clock.now();
  const { tenant } = sandbox.record;
  await thawSandbox(context, sandbox, {
    cause: 'pause_failed',
    stateSinceMs: now,
    tenant: { ...tenant, endAtMs: Math.max(tenant.endAtMs, now + respiteMs) },
  });
  context.logBook.write(sandbox.record.sandboxId, 'pause failed, the sandbox continues to run');
  tellUpdated(context, sandbox);
}
