import type { Clock, Logger } from '@soulbox/base';
import type { CheckpointStore } from '@soulbox/checkpoints';
import { findNamed } from './named.ts';
import type { Holding, Named } from './named.ts';
import type { HostRecord } from './record.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { SandboxTable } from './table.ts';

/** Knows which checkpoints and layers are needed, and has all others removed. */
export interface References {
  /** Keeps these from being removed until disposed. */
  hold(holding: Holding): Disposable;
  /** What operations in progress hold. */
  held(): Required<Holding>;
  /** Everything that must stay: named by a record or a snapshot, held by an operation, or cached. */
  needed(): Named;
  /**
   * When an operation last held the checkpoint. 0 when none did in the life of this server, undefined while one does.
   */
  lastUseMs(checkpointId: string): number | undefined;
  /**
   * Removes a checkpoint unless something still names it. Never throws: after a failure the next collection removes it.
   */
  drop(checkpointId: string): Promise<void>;
  /**
   * Moves a checkpoint that a sandbox ran from to the damaged ones, for inspection. It stays where it is when a snapshot
   * or another sandbox names it. Never throws.
   */
  setAside(checkpointId: string, record: HostRecord, foundAtMs: number): Promise<void>;
  /**
   * Garbage-collects unreferenced checkpoints and layers. Concurrent calls share one round, or the next. Never throws.
   */
  collect(): Promise<void>;
}

export function createReferences(
  checkpoints: Pick<CheckpointStore, 'collect' | 'remove' | 'setAside'>,
  table: SandboxTable,
  snapshots: SnapshotStore,
  logger: Logger,
  clock: Clock,
  cached: () => Required<Holding>,
): References {
  const holdings = new Set<Holding>();
  const lastUses = new Map<string, number>();

  const findNeeded = (without = ''): Named => {
    const records = table.all().map(({ record }) => record);
    const others = records.filter(({ sandboxId }) => sandboxId !== without);
    return findNamed(others, snapshots.list(), [...holdings, cached()]);
  };
  const collect = shareRounds(async () => {
    try {
      const { removedCheckpoints, removedLayers } = await checkpoints.collect(() => findNeeded());
      for (const checkpointId of removedCheckpoints) lastUses.delete(checkpointId);
      const removed = removedCheckpoints.length + removedLayers.length;
      if (removed > 0) logger.info({ removedCheckpoints, removedLayers }, 'checkpoints and layers garbage-collected');
    } catch (err) {
      logger.error({ err }, 'garbage collection of checkpoints and layers failed');
    }
  });

  return {
    held: () => ({
      checkpoints: [...holdings].flatMap((holding) => holding.checkpoints ?? []),
      layers: [...holdings].flatMap((holding) => holding.layers ?? []),
    }),
    needed: () => findNeeded(),
    hold(holding) {
      holdings.add(holding);
      return {
        [Symbol.dispose]: () => {
          holdings.delete(holding);
          for (const checkpointId of holding.checkpoints ?? []) lastUses.set(checkpointId, clock.now());
        },
      };
    },
    lastUseMs(checkpointId) {
      const isHeld = [...holdings].some(({ checkpoints: held = [] }) => held.includes(checkpointId));
      return isHeld ? undefined : (lastUses.get(checkpointId) ?? 0);
    },
    async drop(checkpointId) {
      if (checkpointId === '' || findNeeded().checkpoints.has(checkpointId)) return;
      try {
        await checkpoints.remove(checkpointId);
        lastUses.delete(checkpointId);
      } catch (err) {
        logger.error({ checkpointId, err }, 'checkpoint could not be removed');
      }
    },
    async setAside(checkpointId, { sandboxId, templateId }, foundAtMs) {
      if (checkpointId === '' || findNeeded(sandboxId).checkpoints.has(checkpointId)) return;
      try {
        await checkpoints.setAside(checkpointId, { sandboxId, templateId, foundAtMs });
        logger.warn({ sandboxId, checkpointId }, 'damaged checkpoint kept for inspection');
      } catch (err) {
        logger.error({ sandboxId, checkpointId, err }, 'damaged checkpoint could not be kept');
      }
    },
    collect,
  };
}

/**
 * Runs one round at a time. A round in progress may have read the ids before the caller's change, so the caller waits
 * for the next round. All waiting callers share it.
 */
function shareRounds(run: () => Promise<void>): () => Promise<void> {
  let round: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;
  return async () => {
    waiting ??= round.then(async () => {
      waiting = undefined;
      round = run();
      await round;
    });
    await waiting;
  };
}
