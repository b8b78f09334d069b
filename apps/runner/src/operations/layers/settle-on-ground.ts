import { readGround } from '../../processes/ground.ts';
import type { OperationContext } from '../operation-context.ts';
import type { TenantSandbox } from '../../registry/table.ts';
import { shortenChain } from './shorten-chain.ts';
import { turnDiskToLayer } from './turn-disk-to-layer.ts';

/**
 * A kept disk goes on only over the very root that it was made on. After a move to another disk or host, or a restored backup, the root
 * is a copy: then the disk becomes a layer, which names nothing below it, and a fresh one comes on top. Whoever calls has checked
 * the disk and holds the lock. Throws `disk_full`.
 */
export async function settleOnGround(context: OperationContext, sandbox: TenantSandbox, rootfs: string): Promise<void> {
  const { sandboxId, state, disk, ground, layers } = sandbox.record;
  if (state !== 'paused' || disk === 'new' || ground === readGround(rootfs)) return;
  using chain = await shortenChain(context, layers);
  await turnDiskToLayer(context, sandbox, chain);
  context.host.logger.info({ sandboxId }, 'disk of a moved sandbox made a layer');
}
