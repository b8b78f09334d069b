import { isDiskFull } from '@soulbox/base';
import { whileRoom } from '../disk-budget/host-work.ts';
import type { OperationContext } from '../operations/operation-context.ts';

export interface ArchiveSweep {
  /**
   * Compresses what has slept for long, one state after the other, until `stopping` aborts. Does nothing while an earlier sweep
   * goes on. Never throws.
   */
  sweep(stopping: AbortSignal): Promise<void>;
}

type ArchiveSweepContext = Pick<OperationContext, 'host' | 'table' | 'snapshots' | 'references' | 'clock'>;

/**
 * Keeps the memory of sandboxes that were paused, and of snapshots that were last used, more than `afterMs` ago in the archive
 * (docs/decisions/011). Whoever wants one meanwhile interrupts it: the state store sees to that. 0 archives nothing. Without room
 * on the disk it is left for a later sweep.
 */
export function createArchiveSweep(context: ArchiveSweepContext, afterMs: number): ArchiveSweep {
  /** When it was looked at: it need not be again before somebody has used it. */
  const done = new Map<string, number>();
  let isSweeping = false;

  /** False: there is no room for it at present. */
  const archive = async (stateId: string, stopping: AbortSignal): Promise<boolean> => {
    const startedAtMs = context.clock.now();
    const { disks, states } = context.host;
    try {
      const work = { what: 'Archiving memory', signal: stopping };
      const state = await whileRoom(disks, work, async (signal) => await states.compress(stateId, signal));
      if (state === undefined) return true;
      done.set(stateId, startedAtMs);
      const { sizeBytes, isPacked } = state;
      context.host.logger.info(
        { stateId, sizeBytes, isPacked, durationMs: context.clock.now() - startedAtMs },
        'state archived',
      );
    } catch (err) {
      if (isDiskFull(err)) return false;
      // Not again in this server's life: it stays as it is, and its next use says what is wrong with it.
      done.set(stateId, Infinity);
      context.host.logger.error({ stateId, err }, 'state not archived');
    }
    return true;
  };

  return {
    async sweep(stopping) {
      if (afterMs === 0 || isSweeping) return;
      isSweeping = true;
      try {
        const asleep = findAsleep(context);
        for (const stateId of done.keys()) if (!asleep.has(stateId)) done.delete(stateId);
        for (const [stateId, sinceMs] of asleep) {
          if (stopping.aborted) return;
          const isDone = (done.get(stateId) ?? -Infinity) >= sinceMs;
          if (isDone || context.clock.now() - sinceMs < afterMs || isWanted(context, stateId)) continue;
          if (!(await archive(stateId, stopping))) return;
        }
      } finally {
        isSweeping = false;
      }
    },
  };
}

/** Since when each saved memory sleeps: the latest of all that name it. */
function findAsleep({ table, snapshots, references }: ArchiveSweepContext): Map<string, number> {
  const asleep = new Map<string, number>();
  const note = (stateId: string, sinceMs: number): void => {
    asleep.set(stateId, Math.max(sinceMs, asleep.get(stateId) ?? 0, references.lastUseMs(stateId) ?? 0));
  };
  for (const { record } of table.tenants())
    if (record.state === 'paused' && record.saved?.hasMemory === true) note(record.saved.stateId, record.stateSinceMs);
  for (const { stateId, hasMemory, createdAtMs } of snapshots.list()) if (hasMemory) note(stateId, createdAtMs);
  return asleep;
}

/** Whether somebody reads it: an operation, a sandbox in the middle of a step, or one whose memory still comes from it. */
function isWanted({ table, references }: ArchiveSweepContext, stateId: string): boolean {
  if (references.lastUseMs(stateId) === undefined) return true;
  return table.all().some(({ record }) => {
    if (record.pagesFrom === stateId) return true;
    const names = record.saved?.stateId === stateId || record.work?.stateId === stateId;
    return names && (record.state !== 'paused' || table.isBusy(record.sandboxId));
  });
}
