import { measureOperation, phase, randomId } from '@soulbox/base';
import { costOf } from '../../disk-budget/shares.ts';
import type { OperationContext } from '../operation-context.ts';
import { checkLayers } from '../../processes/check-memory.ts';
import { sizeOfLayers } from './size-of-layers.ts';

/**
 * A sandbox with this many layers gets one merged layer before the next is added. The kernel searches each layer in
 * turn.
 */
const maxTenantLayers = 8;
/** Maximum size of the tables of the merged file system. */
const tablesBytes = 32 * 2 ** 20;

/** One layer with the content of a chain of layers. It is held until disposed, and then by the records that name it. */
export interface ShortChain extends Disposable {
  /** The layers under a fresh disk, given those under the old one. Topmost first. */
  below(layers: readonly string[]): readonly string[];
}

/**
 * Merges the layers of a sandbox into one if there are too many. The sandbox runs meanwhile. Its own disk stays on the
 * old layers, since an overlay works only over the layers it was made on. Only a fresh disk can use the new layer.
 * Throws `disk_full`.
 */
export async function shortenChain(
  context: OperationContext,
  layers: readonly string[],
  maxLayers = maxTenantLayers,
): Promise<ShortChain> {
  if (layers.length < maxLayers) return { below: (present) => present, [Symbol.dispose]: () => undefined };
  const layerId = randomId(20);
  const hold = context.references.hold({ layers: [...layers, layerId] });
  try {
    await merge(context, layers, layerId);
  } catch (error) {
    hold[Symbol.dispose]();
    throw error;
  }
  const chain = layers.join();
  return {
    // A concurrent snapshot may have changed the layers already.
    below: (present) => (present.join() === chain ? [layerId] : present),
    [Symbol.dispose]: () => {
      hold[Symbol.dispose]();
    },
  };
}

async function merge({ host }: OperationContext, layers: readonly string[], layerId: string): Promise<void> {
  await measureOperation('merge-layers', async (finish) => {
    await phase('check', async () => await checkLayers(host, layers));
    const bytes = costOf(await sizeOfLayers(host.checkpoints, layers)) + tablesBytes;
    using _room = host.disks.admit(bytes, 'Merging layers');
    await phase('merge', async () => await host.checkpoints.flatten(layers, layerId));
    host.logger.info({ layerId, count: layers.length, ...finish() }, 'layers merged');
  });
}
