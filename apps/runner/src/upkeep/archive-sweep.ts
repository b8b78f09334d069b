import { isDiskFull, measureOperation } from '@soulbox/base';
import { whileRoom } from '../disk-budget/host-work.ts';
import type { OperationContext } from '../operations/operation-context.ts';

export interface ArchiveSweep {
  /**
   * Archives checkpoints that were not used for long, one after the other, until `stopping` aborts. Does nothing while
   * an earlier sweep runs. Never throws.
   */
  sweep(stopping: AbortSignal): Promise<void>;
}

type ArchiveSweepContext = Pick<OperationContext, 'host' | 'table' | 'snapshots' | 'references' | 'clock'>;

/**
 * Moves checkpoints to the archive when their sandbox was paused, or their snapshot was last used, more than `afterMs`
 * ago (docs/decisions/011). A use meanwhile interrupts the compression; the checkpoint store handles that. 0 archives
 * nothing. Without room on the disk the work is left to a later sweep.
 */
export function createArchiveSweep(context: ArchiveSweepContext, afterMs: number): ArchiveSweep {
  /** Time of the last try for each checkpoint. It is tried again only after it was used. */
  const done = new Map<string, number>();
  let isSweeping = false;

  /** False when there is no room at present. */
  const archive = async (checkpointId: string, stopping: AbortSignal): Promise<boolean> => {
    const startedAtMs = context.clock.now();
    const { disks, checkpoints } = context.host;
    try {
      const work = { what: 'Archiving memory', signal: stopping };
      await measureOperation('archive', async (finish) => {
        const checkpoint = await whileRoom(
          disks,
          work,
          async (signal) => await checkpoints.compress(checkpointId, signal),
        );
        if (checkpoint === undefined) return;
        done.set(checkpointId, startedAtMs);
        const { sizeBytes, isPacked } = checkpoint;
        context.host.logger.info({ checkpointId, sizeBytes, isPacked, ...finish() }, 'checkpoint archived');
      });
    } catch (err) {
      if (isDiskFull(err)) return false;
      // It is not tried again by this server. The next use of the checkpoint reports its fault.
      done.set(checkpointId, Infinity);
      context.host.logger.error({ checkpointId, err }, 'checkpoint could not be archived');
    }
    return true;
  };

  return {
    async sweep(stopping) {
      if (afterMs === 0 || isSweeping) return;
      isSweeping = true;
      try {
        const asleep = findAsleep(context);
        for (const checkpointId of done.keys()) if (!asleep.has(checkpointId)) done.delete(checkpointId);
        for (const [checkpointId, sinceMs] of asleep) {
          if (stopping.aborted) return;
          const isDone = (done.get(checkpointId) ?? -Infinity) >= sinceMs;
          if (isDone || context.clock.now() - sinceMs < afterMs || isWanted(context, checkpointId)) continue;
          if (!(await archive(checkpointId, stopping))) return;
        }
      } finally {
        isSweeping = false;
      }
    },
  };
}

/** When each checkpoint was last used, by any record that names it. */
function findAsleep({ table, snapshots, references }: ArchiveSweepContext): Map<string, number> {
  const asleep = new Map<string, number>();
  const note = (checkpointId: string, sinceMs: number): void => {
    asleep.set(checkpointId, Math.max(sinceMs, asleep.get(checkpointId) ?? 0, references.lastUseMs(checkpointId) ?? 0));
  };
  for (const { record } of table.tenants())
    if (record.state === 'paused' && record.saved?.hasMemory === true) note(record.saved.stateId, record.stateSinceMs);
  for (const { stateId: checkpointId, hasMemory, createdAtMs } of snapshots.list())
    if (hasMemory) note(checkpointId, createdAtMs);
  return asleep;
}

/** Whether it is being read: by an operation, by a step of a sandbox, or by a lazy restore. */
function isWanted({ table, references }: ArchiveSweepContext, checkpointId: string): boolean {
  if (references.lastUseMs(checkpointId) === undefined) return true;
  return table.all().some(({ record }) => {
    if (record.pagesFrom === checkpointId) return true;
    const names = record.saved?.stateId === checkpointId || record.work?.stateId === checkpointId;
    return names && (record.state !== 'paused' || table.isBusy(record.sandboxId));
  });
}
