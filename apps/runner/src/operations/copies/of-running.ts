import { measureOperation, randomId, SoulBoxError } from '@soulbox/base';
import type { Checkpoint } from '@soulbox/checkpoints';
import { readBootId } from '../../host/boot-id.ts';
import { settleUsage } from '../../processes/egress-usage.ts';
import { detachNetwork } from '../../processes/sandbox-host.ts';
import type { OperationContext } from '../operation-context.ts';
import { tellUpdated } from '../operation-context.ts';
import type { Work } from '../../registry/record.ts';
import { comesLate, memoryOf } from '../../processes/check-memory.ts';
import { endProcesses, savedFrom } from '../pause/finish-pause.ts';
import { thawSandbox } from '../pause/thaw.ts';
import { restoreSandbox } from '../resume/restore.ts';
import { explainSaveFailure } from '../pause/pause.ts';
import { holdRoom, saveCheckpoint } from '../../processes/save-checkpoint.ts';
import { freeze } from '../../processes/freeze.ts';
import type { RunningSandbox, TenantSandbox } from '../../registry/table.ts';
import { takeMoment } from './at-moment.ts';
import type { SaveRunning } from './at-moment.ts';
import { sourceFrom } from './source-at-hand.ts';
import { layersAfter, takeDisk } from '../../processes/sandbox-disk.ts';
import type { UseSource } from './source-at-hand.ts';

/**
 * Turns a running sandbox into a source of copies. The sandbox continues as one of them while `use` makes the others. A
 * sandbox that cannot continue is paused; its record, its log and an event say so, and the source stays. Called with
 * the lock held. Throws `checkpoint_failed` and others, as a pause does, while the sandbox runs on.
 */
export async function withRunning<T>(
  context: OperationContext,
  sandbox: RunningSandbox,
  save: SaveRunning,
  use: UseSource<T>,
): Promise<T> {
  const checkpoint = await takeApart(context, sandbox, save);
  const { sandboxId, layers, driver, work } = sandbox.record;
  const layerId = work?.layerId ?? '';
  using _hold = context.references.hold({ checkpoints: [checkpoint.checkpointId], layers });
  // Beside the copies, so it is not one of their phases.
  const goesOn = measureOperation('continue-source', async (finish) => {
    await continueSource(context, sandbox, checkpoint);
    context.host.logger.info({ sandboxId, ...finish() }, 'sandbox saved while it runs');
  }).catch((err: unknown) => context.host.logger.error({ sandboxId, err }, 'sandbox saved, but it is paused now'));
  // After the source continues: the source is more urgent than its digests.
  const sealed = goesOn.then(async () => await sealTop(context, layers, layerId));
  const atHand = {
    source: sourceFrom(sandbox, { stateId: checkpoint.checkpointId, hasMemory: true, isEncrypted: true }),
    getMemory: async () => await memoryOf(context.host, driver, checkpoint, { owner: 'copies', sandboxId }),
    sealDisk: async () => await sealed,
    // It is sealed already. Otherwise the source could not have continued from it.
    sealMemory: () => Promise.resolve(),
  };
  const [outcome] = await Promise.allSettled([useTop(layers, layerId, () => use(atHand)), sealed]);
  await sealed;
  await context.table.note(sandbox, { work: undefined });
  if (outcome.status === 'rejected') throw outcome.reason;
  return outcome.value;
}

/** A copy needs the memory together with the disk that it was saved with. */
async function useTop<T>(layers: readonly string[], layerId: string, use: () => Promise<T>): Promise<T> {
  if (layers.includes(layerId)) return await use();
  throw new SoulBoxError(
    'checkpoint_failed',
    'The disk of the sandbox could not be copied. The sandbox continues to run.',
  );
}

/** The layer is there only if the disk could be turned into one. */
async function sealTop(context: OperationContext, layers: readonly string[], layerId: string): Promise<void> {
  if (layers.includes(layerId)) await context.host.checkpoints.sealLayer(layerId);
}

/**
 * Turns the memory into a checkpoint and the disk into the topmost layer. The sandbox has no processes afterwards;
 * `continueSource` restores it. The layer is not sealed yet, and `work` in the record says so until it is.
 */
async function takeApart(
  context: OperationContext,
  sandbox: RunningSandbox,
  { chain, atMoment }: SaveRunning,
): Promise<Checkpoint> {
  const { table } = context;
  using _room = await holdRoom(context, sandbox, true);
  const work: Work = {
    from: 'running',
    bootId: readBootId(),
    stateId: randomId(20),
    layerId: randomId(20),
    keepMemory: true,
    promised: false,
    mayRun: false,
  };
  await table.step(sandbox, 'snapshotting', { work });
  const below = chain.below(sandbox.record.layers);
  const checkpoint = await saveFrozen(context, sandbox, { work, below, atMoment });
  await parkDisk(context, sandbox, work, below);
  return checkpoint;
}

async function saveFrozen(
  context: OperationContext,
  sandbox: RunningSandbox,
  { work, below, atMoment }: { readonly work: Work; readonly below: readonly string[] } & Pick<SaveRunning, 'atMoment'>,
): Promise<Checkpoint> {
  const layers = [work.layerId, ...below];
  try {
    await freeze(context, sandbox);
    context.metrics.sampleLast(sandbox.record.sandboxId);
    const checkpoint = await saveCheckpoint(context, sandbox, { checkpointId: work.stateId, keepMemory: true, layers });
    await takeMoment(sandbox, atMoment);
    await context.table.update(sandbox, { saved: savedFrom(checkpoint) });
    return checkpoint;
  } catch (error) {
    // Before it runs again: a server that finds a sealed checkpoint would restore the sandbox from it.
    await context.host.checkpoints.remove(work.stateId);
    await thawSandbox(context, sandbox);
    throw explainSaveFailure(error);
  }
}

/**
 * Ends the processes and turns the disk into the layer, if possible. The source continues either way. Processes that did
 * not end keep the slot: no other sandbox may get their uids and their address.
 */
async function parkDisk(
  context: OperationContext,
  sandbox: RunningSandbox,
  work: Work,
  below: readonly string[],
): Promise<void> {
  const { host, table, background } = context;
  const { sandboxId, slot } = sandbox.record;
  let hasEnded = false;
  try {
    await settleUsage(context, sandbox);
    await endProcesses(host, sandbox);
    hasEnded = true;
    await takeDisk(context, sandbox, work.layerId);
  } catch (err) {
    const kept = hasEnded ? {} : { keptSlot: slot };
    host.logger.error({ sandboxId, err, ...kept }, 'disk could not be turned into a layer');
  }
  await table.note(sandbox, { ...layersAfter(context, sandbox, work.layerId, below), slot: 0 });
  // The kernel takes 10 ms and more to remove an interface. The next server removes one that is left.
  background.start(async () => {
    await detachNetwork(host, slot);
    if (hasEnded) host.slots.release(slot);
  });
}

/**
 * Restores the source as a copy of itself, on a fresh disk. This process has just saved its memory, so it needs no
 * check. Throws `sandbox_resume_failed` when the source could not be restored and is paused.
 */
async function continueSource(
  context: OperationContext,
  sandbox: TenantSandbox,
  checkpoint: Checkpoint,
): Promise<void> {
  const { driver, cause, stateSinceMs, pagesFrom: before } = sandbox.record;
  try {
    // The copies hold their memory until this is done, so it must not wait for them.
    const use = { owner: 'itself', sandboxId: sandbox.record.sandboxId, isUrgent: true } as const;
    await using memory = await memoryOf(context.host, driver, checkpoint, use);
    const pagesFrom = comesLate(memory) ? checkpoint.checkpointId : '';
    await restoreSandbox(context, sandbox, { memory, change: { cause, stateSinceMs, pagesFrom } });
  } catch (error) {
    await context.table.note(sandbox, { cause: 'resume_failed', stateSinceMs: context.clock.now() });
    tellUpdated(context, sandbox);
    throw error;
  }
  context.background.start(async () => await context.references.drop(before));
}
