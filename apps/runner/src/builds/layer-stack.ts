import { stat } from 'node:fs/promises';
import { shortenChain } from '../operations/layers/shorten-chain.ts';
import { statBlockBytes } from '../operations/layers/size-of-layers.ts';
import type { OperationContext } from '../operations/operation-context.ts';

/**
 * The layers that the steps of one build have made so far, protected from garbage collection. After disposal, layers
 * that no record names can be collected.
 */
export interface LayerStack extends AsyncDisposable {
  /** Topmost first. */
  layers(): readonly string[];
  /** Keeps a checkpoint and layers until the stack is disposed. */
  hold(checkpointId: string, layers: readonly string[]): void;
  /** Keeps layers that are being made, or that may be used. */
  keep(...layers: readonly string[]): void;
  /** Puts a layer on top. It is sealed in the background. */
  push(layerId: string): void;
  /** Continues with other layers, which are kept and sealed already. */
  replace(layers: readonly string[]): void;
  /** Runs `work` once all present layers are sealed. The next step does not wait for it. */
  afterSealing(work: () => Promise<void>): void;
  /** Merges the layers into one if there are `maxLayers` or more. The default is the limit for tenants' sandboxes. */
  shorten(maxLayers?: number): Promise<void>;
  /** MiB that the layers take of the host's disk, rounded up. */
  usedMb(): Promise<number>;
}

export function createLayerStack(context: OperationContext, base: readonly string[]): LayerStack {
  const { host, references } = context;
  const held = { checkpoints: [] as string[], layers: [...base] };
  const holding = references.hold(held);
  const sealing: Promise<void>[] = [];
  let layers = base;
  const track = (work: Promise<void>): void => {
    // The caller that waits for all of them gets the failure.
    work.catch(() => undefined);
    sealing.push(work);
  };
  return {
    layers: () => layers,
    hold(checkpointId, layerIds) {
      held.checkpoints.push(checkpointId);
      held.layers.push(...layerIds);
    },
    keep: (...layerIds) => void held.layers.push(...layerIds),
    push(layerId) {
      layers = [layerId, ...layers];
      track(host.checkpoints.sealLayer(layerId));
    },
    replace(others) {
      layers = others;
    },
    afterSealing(work) {
      track(Promise.all([...sealing]).then(work));
    },
    async shorten(maxLayers) {
      await Promise.all(sealing.splice(0));
      using chain = await shortenChain(context, layers, maxLayers);
      layers = chain.below(layers);
      held.layers.push(...layers);
    },
    async usedMb() {
      const stats = await Promise.all(layers.map(async (layerId) => await stat(host.checkpoints.layerPath(layerId))));
      return Math.ceil(stats.reduce((sum, { blocks }) => sum + blocks * statBlockBytes, 0) / 2 ** 20);
    },
    async [Symbol.asyncDispose]() {
      await Promise.allSettled(sealing);
      holding[Symbol.dispose]();
      context.background.start(async () => await references.collect());
    },
  };
}
