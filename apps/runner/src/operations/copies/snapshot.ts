import { measureOperation, phase } from '@soulbox/base';
import type { OperationContext } from '../operation-context.ts';
import { sizeOfLayers } from '../layers/size-of-layers.ts';
import type { UseSource } from './source-at-hand.ts';
import type { CopySource, SnapshotRecord } from '../../registry/snapshot-store.ts';
import { copyVolumes, mountsWithCopies, refuseIfCallerIsGone } from './own-volumes.ts';
import type { VolumeCopy } from './own-volumes.ts';
import { withSource } from './with-source.ts';

/** Copies of volumes for a snapshot. */
export interface OwnVolumesOrder {
  readonly copies: readonly VolumeCopy[];
  /** Aborted when the caller, which removes what it does not hear of, is gone. */
  readonly signal: AbortSignal | undefined;
}

/**
 * Makes a snapshot of a running or paused sandbox, from which copies can be made at any time. A running sandbox
 * continues, with its connections cut. The snapshot is on the disk when this resolves. With `own`, it names read-only
 * copies of the volumes. Throws the errors of `withSource`, `checkFree` and `copyVolumes`.
 */
export async function makeSnapshot(
  context: OperationContext,
  sandboxId: string,
  snapshotId: string,
  own?: OwnVolumesOrder,
): Promise<SnapshotRecord> {
  return await measureOperation('snapshot', async (finish) => {
    const { snapshots, references, events, clock } = context;
    snapshots.checkFree(snapshotId);
    const use: UseSource<SnapshotRecord> = async ({ source, sealDisk, sealMemory }) => {
      await phase('seal', async () => await Promise.all([sealDisk(), sealMemory()]));
      using _hold = references.hold({ checkpoints: [source.stateId], layers: source.layers });
      snapshots.checkFree(snapshotId);
      const sizeBytes = await measure(context, source);
      const snapshot = {
        ...source,
        ...(own === undefined ? {} : { volumes: mountsWithCopies(source.volumes, own.copies), ownVolumes: true }),
        formatVersion: 2,
        snapshotId,
        sandboxId,
        createdAtMs: clock.now(),
        sizeBytes,
      } as const;
      refuseIfCallerIsGone(own?.signal);
      await snapshots.write(snapshot);
      context.host.logger.info({ sandboxId, snapshotId, ...finish() }, 'snapshot made');
      context.logBook.write(sandboxId, 'snapshot made', { snapshotID: snapshotId });
      events.emit({ kind: 'checkpointed', sandboxId, snapshotId });
      return snapshot;
    };
    return await withSource(context, sandboxId, use, async (volumes) => {
      if (own !== undefined) await copyVolumes(context.host.volumes, volumes, own.copies, true);
    });
  });
}

/** Bytes on the host's disk. */
async function measure({ host }: OperationContext, { stateId: checkpointId, layers }: CopySource): Promise<number> {
  return (await host.checkpoints.open(checkpointId)).sizeBytes + (await sizeOfLayers(host.checkpoints, layers));
}

/** False when there was none. Sandboxes that were made from it are not affected: their records name what they need. */
export async function deleteSnapshot(context: OperationContext, snapshotId: string): Promise<boolean> {
  const existed = await context.snapshots.remove(snapshotId);
  if (existed) context.background.start(async () => await context.references.collect());
  return existed;
}
