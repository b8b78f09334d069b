import type { OperationContext } from '../operation-context.ts';
import { checkKeptDisk } from '../../processes/sandbox-disk.ts';
import type { TenantSandbox } from '../../registry/table.ts';
import type { ShortChain } from '../layers/shorten-chain.ts';
import { sealedSource, sourceFrom } from './source-at-hand.ts';
import { turnDiskToLayer } from '../layers/disk-to-layer.ts';
import type { UseSource } from './source-at-hand.ts';

/** Calls `use` with a paused sandbox as the source. Called with the lock held. Throws `state_damaged`. */
export async function withPaused<T>(
  context: OperationContext,
  sandbox: TenantSandbox,
  chain: ShortChain,
  use: UseSource<T>,
): Promise<T> {
  const { saved } = sandbox.record;
  if (saved === undefined) throw new Error('a paused sandbox has no checkpoint');
  await shareDisk(context, sandbox, chain);
  using _hold = context.references.hold({ checkpoints: [saved.stateId], layers: sandbox.record.layers });
  return await use(sealedSource(context.host, sourceFrom(sandbox, saved), sandbox.record.sandboxId));
}

/** An altered disk would be sealed as it is, so it is checked first. */
async function shareDisk(context: OperationContext, sandbox: TenantSandbox, chain: ShortChain): Promise<void> {
  if (sandbox.record.disk === 'new') return;
  await checkKeptDisk(context.host, sandbox.record);
  await turnDiskToLayer(context, sandbox, chain);
}
