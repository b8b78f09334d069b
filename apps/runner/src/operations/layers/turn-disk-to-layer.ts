import { randomId } from '@soulbox/base';
import { readBootId } from '../../host/boot-id.ts';
import type { OperationContext } from '../operation-context.ts';
import type { TenantSandbox } from '../../registry/table.ts';
import type { ShortChain } from './shorten-chain.ts';
import { layersAfter, takeDisk } from '../../processes/take-disk.ts';

/** The kept disk of a paused sandbox becomes a layer; all else stays. Whoever calls has checked it. Called with the lock held. */
export async function turnDiskToLayer(
  context: OperationContext,
  sandbox: TenantSandbox,
  chain: ShortChain,
): Promise<void> {
  const { table } = context;
  const layerId = randomId(20);
  const work = {
    from: 'paused' as const,
    bootId: readBootId(),
    stateId: '',
    layerId,
    keepMemory: true,
    promised: false,
    mayRun: false,
  };
  await table.step(sandbox, 'snapshotting', { work });
  try {
    await takeDisk(context, sandbox, layerId);
    await context.host.states.sealLayer(layerId);
  } finally {
    const below = chain.below(sandbox.record.layers);
    await table.step(sandbox, 'paused', { ...layersAfter(context, sandbox, layerId, below), work: undefined });
  }
}
