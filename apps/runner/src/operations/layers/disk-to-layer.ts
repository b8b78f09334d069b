import { randomId } from '@soulbox/base';
import { readBootId } from '../../host/boot-id.ts';
import { layersAfter, readRootIdentity, takeDisk } from '../../processes/sandbox-disk.ts';
import type { TenantSandbox } from '../../registry/table.ts';
import type { OperationContext } from '../operation-context.ts';
import { shortenChain } from './shorten-chain.ts';
import type { ShortChain } from './shorten-chain.ts';

/**
 * Makes the disk of a paused sandbox usable on the present root folder of its template. A disk works only over the very
 * folder it was made on. After a move or a restored backup the folder is a copy. Then the disk becomes a layer, which
 * does not depend on the folder, and the next start makes a fresh disk. The caller has checked the disk and holds the
 * lock. Throws `disk_full`.
 */
export async function fitDiskToRoot(context: OperationContext, sandbox: TenantSandbox, rootfs: string): Promise<void> {
  const { sandboxId, state, disk, ground, layers } = sandbox.record;
  if (state !== 'paused' || disk === 'new' || ground === readRootIdentity(rootfs)) return;
  using chain = await shortenChain(context, layers);
  await turnDiskToLayer(context, sandbox, chain);
  context.host.logger.info({ sandboxId }, 'disk of a moved sandbox turned into a layer');
}

/** Turns the kept disk of a paused sandbox into a layer. The caller has checked the disk and holds the lock. */
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
    await context.host.checkpoints.sealLayer(layerId);
  } finally {
    const below = chain.below(sandbox.record.layers);
    await table.step(sandbox, 'paused', { ...layersAfter(context, sandbox, layerId, below), work: undefined });
  }
}
