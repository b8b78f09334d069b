import { isDiskFull, randomId } from '@soulbox/base';
import type { OperationContext } from '../operation-context.ts';
import { tellUpdated } from '../operation-context.ts';
import type { LiveSandbox, TenantSandbox } from '../../registry/table.ts';
import { endKeepingDisk, recordPaused, savedFrom } from './finish-pause.ts';
import { holdRoom, saveCheckpoint } from '../../processes/save-checkpoint.ts';
import { freeze } from '../../processes/freeze.ts';

/**
 * Pauses a sandbox whose envd did not confirm its restore, so that nobody may reach it. Its processes have written to
 * the disk, so their present memory is saved. Returns false and logs the reason when that is not possible. Called in
 * `resuming`, with the lock held. Throws `disk_full`: the sandbox stays frozen, because its memory is saved nowhere,
 * and `retrySteps` tries again.
 */
export async function pauseUnconfirmed(context: OperationContext, sandbox: TenantSandbox): Promise<boolean> {
  const { table, host, references, background, clock } = context;
  const { record } = sandbox;
  const { work, saved, layers, sandboxId } = record;
  if (!isAlive(sandbox) || work === undefined || saved === undefined || record.disk === 'new') return false;
  if (!sandbox.live.driver.capabilities.checkpoint) return false;
  const checkpointId = randomId(20);
  try {
    await table.update(sandbox, { work: { ...work, stateId: checkpointId } });
    await freeze(context, sandbox);
    // Its failed restore may still hold its saved memory, so it must not wait for others that do the same.
    using _room = await holdRoom(context, sandbox, true, true);
    const checkpoint = await saveCheckpoint(context, sandbox, { checkpointId, keepMemory: true, layers });
    const disk = await endKeepingDisk(context, sandbox);
    const change = { saved: { ...savedFrom(checkpoint), disk }, pagesFrom: '' };
    await recordPaused(context, sandbox, { ...change, cause: 'resume_failed', stateSinceMs: clock.now() });
  } catch (err) {
    // The source of a snapshot has a step of its own to finish.
    if (record.state === 'resuming' && isDiskFull(err)) throw err;
    host.logger.error({ sandboxId, err }, 'unresponsive sandbox could not be saved');
    return false;
  }
  tellUpdated(context, sandbox);
  background.start(async () => await references.drop(saved.stateId));
  return true;
}

function isAlive(sandbox: TenantSandbox): sandbox is TenantSandbox & LiveSandbox {
  return sandbox.live?.driver.isAlive(sandbox.live.instance) === true;
}
