import { phase } from '@soulbox/base';
import type { Tenant } from '../../registry/record.ts';
import type { SnapshotRecord } from '../../registry/snapshot-store.ts';
import type { TenantSandbox } from '../../registry/table.ts';
import type { OperationContext } from '../operation-context.ts';
import { startCopy } from './make-copy.ts';
import { orderCopies } from './order-copies.ts';
import { copyVolumes, mountsWithCopies, refuseIfCallerIsGone } from './own-volumes.ts';
import type { VolumeCopy } from './own-volumes.ts';
import { sealedSource } from './source-at-hand.ts';

export interface OwnVolumesCopy {
  readonly snapshot: SnapshotRecord;
  readonly ownVolumes: readonly VolumeCopy[];
  readonly signal: AbortSignal | undefined;
  readonly tenantOf: (sandboxId: string) => Tenant;
}

/**
 * Starts a copy of a snapshot with copies of its volumes, which are made before. It is announced by `serveCopy` only.
 * Throws the errors of `startCopy` and `copyVolumes`, and `control_unavailable` if the caller is gone.
 */
export async function startWithOwnVolumes(
  context: OperationContext,
  { snapshot, ownVolumes, signal, tenantOf }: OwnVolumesCopy,
): Promise<TenantSandbox> {
  const { host, references } = context;
  using _hold = references.hold({ checkpoints: [snapshot.stateId], layers: snapshot.layers });
  await phase('volumes', async () => await copyVolumes(host.volumes, snapshot.volumes, ownVolumes, false));
  const order = await orderCopies(context, sealedSource(host, snapshot), 'snapshot');
  await using _memory = order.memory;
  const volumes = mountsWithCopies(snapshot.volumes, ownVolumes);
  const sandbox = await startCopy(context, { ...order, source: { ...order.source, volumes } }, tenantOf);
  try {
    refuseIfCallerIsGone(signal);
    return sandbox;
  } catch (error) {
    await context.abandon(sandbox.record.sandboxId);
    throw error;
  }
}
