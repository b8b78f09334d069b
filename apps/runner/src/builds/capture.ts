import { randomId } from '@soulbox/base';
import { sizeOfLayers } from '../operations/layers/size-of-layers.ts';
import type { CopySource } from '../registry/snapshot-store.ts';
import { sourceFrom } from '../operations/copies/source-at-hand.ts';
import type { OperationContext } from '../operations/operation-context.ts';
import { explainSaveFailure } from '../operations/pause/pause.ts';
import { holdRoom, saveCheckpoint } from '../processes/save-checkpoint.ts';
import { freeze } from '../processes/freeze.ts';
import type { BuildSandbox } from './build-sandbox.ts';

/** The result of a build, and its size on the host's disk including shared layers. */
export interface Captured {
  readonly source: CopySource;
  readonly sizeBytes: number;
}

/**
 * Saves a sandbox of a build with its memory, so that its processes are alive in every copy, and ends it. Calls `hold`
 * with checkpoint and layer before they are made. Throws `checkpoint_failed`, `disk_full`.
 */
export async function capture(
  context: OperationContext,
  { sandbox, programs, ...own }: BuildSandbox,
  hold: (checkpointId: string, layers: readonly string[]) => void,
): Promise<Captured> {
  const { checkpoints } = context.host;
  const [checkpointId, layerId] = [randomId(20), randomId(20)];
  const layers = [layerId, ...sandbox.record.layers];
  const keepMemory = sandbox.live.driver.capabilities.checkpoint;
  hold(checkpointId, layers);
  using _room = await holdRoom(context, sandbox, keepMemory);
  programs.close();
  try {
    await freeze(context, sandbox);
    await saveCheckpoint(context, sandbox, { checkpointId, keepMemory, layers });
  } catch (error) {
    throw explainSaveFailure(error);
  }
  await own.takeLayer(layerId);
  await checkpoints.sealLayer(layerId);
  const source = sourceFrom(sandbox, { stateId: checkpointId, hasMemory: keepMemory, isEncrypted: true }, layers);
  return {
    source,
    sizeBytes: (await checkpoints.open(checkpointId)).sizeBytes + (await sizeOfLayers(checkpoints, layers)),
  };
}
