import { completeAll, phase, randomId } from '@soulbox/base';
import type { CheckpointDraft } from '@soulbox/checkpoints';
import { readBootId } from '../../host/boot-id.ts';
import type { OperationContext } from '../operation-context.ts';
import type { CheckedMemory } from '../../processes/check-memory.ts';
import { thawSandbox } from '../pause/thaw.ts';
import { explainSaveFailure } from '../pause/pause.ts';
import { factsOf, flushMounts, holdDisk, holdMemory } from '../../processes/save-checkpoint.ts';
import { freeze } from '../../processes/freeze.ts';
import type { RunningSandbox } from '../../registry/table.ts';
import { takeMoment } from './at-moment.ts';
import type { SaveRunning } from './at-moment.ts';
import type { SourceAtHand } from './source-at-hand.ts';
import { sourceFrom } from './source-at-hand.ts';

/**
 * A disk with at most this much content is copied while the memory is saved, which takes at least as long. Copying a
 * larger one would keep the sandbox frozen for longer (docs/decisions/013).
 */
const copiedDiskMaxBytes = 64 * 2 ** 20;

/** Whether `saveBeside` is the way to copy this sandbox. */
export function hasSmallDisk({ live }: RunningSandbox): boolean {
  const { diskUsedBytes } = live.driver.sample(live.instance);
  return diskUsedBytes <= copiedDiskMaxBytes;
}

/**
 * Saves the memory and a copy of the disk of a sandbox. The sandbox is frozen meanwhile, and then continues on its own
 * disk. The result exists until the caller disposes it. An unsealed result does not survive the server. Called with the
 * lock held. Throws `checkpoint_failed` and others, as a pause does. The sandbox continues in any case.
 */
export async function saveBeside(
  context: OperationContext,
  sandbox: RunningSandbox,
  { chain, atMoment }: SaveRunning,
): Promise<SourceAtHand & AsyncDisposable> {
  const { host, table, references } = context;
  const { sandboxId } = sandbox.record;
  await using parts = new AsyncDisposableStack();
  // The clear copy of the memory exists as long as the result.
  const { bytes } = parts.use(await holdMemory(context, sandbox));
  using _room = holdDisk(context, bytes + copiedDiskMaxBytes);
  const checkpointId = randomId(20);
  const layerId = randomId(20);
  const layers = [layerId, ...chain.below(sandbox.record.layers)];
  const facts = await factsOf(context, sandbox, { checkpointId, keepMemory: true, layers });
  parts.use(references.hold({ checkpoints: [checkpointId], layers }));
  const draft = parts.use(await host.checkpoints.begin(checkpointId, layers));
  // The record does not name the layer, because the sandbox never uses it.
  const work = {
    from: 'running' as const,
    stateId: checkpointId,
    layerId: '',
    keepMemory: true,
    promised: false,
    mayRun: false,
  };
  await table.step(sandbox, 'snapshotting', { work: { ...work, bootId: readBootId() } });
  try {
    await freeze(context, sandbox);
    await flushMounts(context, sandbox);
    await phase('save', async () => await saveParts(sandbox, draft, host.checkpoints.layerPath(layerId)));
    await takeMoment(sandbox, atMoment);
  } catch (error) {
    throw explainSaveFailure(error);
  } finally {
    await thawSandbox(context, sandbox);
  }
  host.logger.info({ sandboxId }, 'sandbox saved while it runs');
  const kept = parts.move();
  return {
    source: sourceFrom(sandbox, { stateId: checkpointId, hasMemory: true, isEncrypted: true }, layers),
    getMemory: () => Promise.resolve(unsealedMemory(draft)),
    sealDisk: async () => await host.checkpoints.sealLayer(layerId),
    sealMemory: async () => {
      await draft.seal(facts);
    },
    [Symbol.asyncDispose]: async () => {
      await kept.disposeAsync();
    },
  };
}

/** The draft belongs to the source, which outlives the copies' restores. */
function unsealedMemory({ directory, scratch }: CheckpointDraft): CheckedMemory {
  return {
    ...{ directory, scratch, digests: { blockBytes: 1, parts: {} } },
    pagesChecked: Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** Waits for both, also when one fails: the sandbox must stay frozen while the other runs. */
async function saveParts({ live }: RunningSandbox, draft: CheckpointDraft, layer: string): Promise<void> {
  const { driver, instance } = live;
  const steps = [driver.checkpoint(instance, draft.directory), driver.copyDisk(instance, layer)];
  await completeAll(steps);
}
