import { stat } from 'node:fs/promises';
import type { CheckpointStore } from '@soulbox/checkpoints';

/** stat(2) counts blocks of this size, whatever the block size of the file system. */
export const statBlockBytes = 512;

/** Bytes that layers use on the host's disk. Layers are sparse files. Those that are not on this host are fetched. */
export async function sizeOfLayers(
  checkpoints: Pick<CheckpointStore, 'digestsOfLayer' | 'layerPath'>,
  layers: readonly string[],
): Promise<number> {
  for (const layerId of layers) await checkpoints.digestsOfLayer(layerId);
  const stats = await Promise.all(layers.map(async (layerId) => await stat(checkpoints.layerPath(layerId))));
  return stats.reduce((sum, { blocks }) => sum + blocks * statBlockBytes, 0);
}
