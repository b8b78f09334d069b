import { randomId } from '@soulbox/base';
import { readBootId } from '../../host/boot-id.ts';
import type { OperationContext } from '../operation.ts';
import { checkKeptDisk } from '../sleep/kept-disk.ts';
import type { TenantSandbox } from '../table.ts';
import type { ShortChain } from './shorten-chain.ts';
import { layersAfter, takeDisk } from './take-disk.ts';

/**
 * Of a paused sandbox the disk becomes a layer; all else stays, and so does the pause. Called with the lock held. Throws
 * `state_damaged` for a disk that was altered: as a layer it would be sealed as it is.
 */
export async function shareDisk(context: OperationContext, sandbox: TenantSandbox, chain: ShortChain): Promise<void> {
  const { table } = context;
  if (sandbox.record.disk === 'new') return;
  await checkKeptDisk(context.host, sandbox.record);
  const layerId = randomId(20);
  const work = {
    from: 'paused' as const,
    bootId: readBootId(),
    stateId: '',
    layerId,
    keepMemory: true,
    promised: false,
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
