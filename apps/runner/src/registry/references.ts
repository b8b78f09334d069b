import type { Clock, Logger } from '@soulbox/base';
import type { CheckpointStore } from '@soulbox/checkpoints';
import type { SnapshotStore } from './snapshot-store.ts';
import type { SandboxRecord } from './record.ts';
import type { SandboxTable } from './table.ts';

/** States and layers that an operation under way uses, though no record names them yet or any more. */
export interface Holding {
  readonly states?: readonly string[];
  readonly layers?: readonly string[];
}

/** Knows which states and layers are needed, and lets all others be removed. */
export interface References {
  /** Keeps these from being removed until disposed. */
  hold(holding: Holding): Disposable;
  /** When an operation last had the state; 0 when none had in the life of this server, undefined while one has. */
  lastUseMs(stateId: string): number | undefined;
  /** Removes a state unless a record, a snapshot or a holder still names it. Never throws: a collection does it later. */
  drop(stateId: string): Promise<void>;
  /**
   * Moves the state that a sandbox was running from to where damaged ones are kept for inspection, unless a snapshot or another
   * sandbox names it: then it stays where it is. Never throws.
   */
  setAside(record: SandboxRecord, foundAtMs: number): Promise<void>;
  /** Removes all that nobody needs. Calls at the same time share one round, or the next. Never throws. */
  collect(): Promise<void>;
}

export function createReferences(
  states: Pick<CheckpointStore, 'collect' | 'remove' | 'setAside'>,
  table: SandboxTable,
  snapshots: SnapshotStore,
  logger: Logger,
  clock: Clock,
  cached: () => Required<Holding>,
): References {
  const holdings = new Set<Holding>();
  const lastUses = new Map<string, number>();
  let round: Promise<void> = Promise.resolve();
  let waiting: Promise<void> | undefined;

  const findNeeded = (without = ''): { states: Set<string>; layers: Set<string> } => {
    const records = table
      .all()
      .map(({ record }) => record)
      .filter(({ sandboxId }) => sandboxId !== without);
    const kept = snapshots.list();
    const namedStates = records.flatMap(({ saved, work, pagesFrom }) => [
      saved?.stateId ?? '',
      work?.stateId ?? '',
      pagesFrom,
    ]);
    const namedLayers = records.flatMap(({ layers, work }) => [...layers, work?.layerId ?? '']);
    const held = [...holdings, cached()];
    return {
      states: new Set([
        ...namedStates,
        ...kept.map(({ stateId }) => stateId),
        ...held.flatMap((holding) => holding.states ?? []),
      ]),
      layers: new Set([
        ...namedLayers,
        ...kept.flatMap(({ layers }) => layers),
        ...held.flatMap((holding) => holding.layers ?? []),
      ]),
    };
  };

  const collectOnce = async (): Promise<void> => {
    try {
      const { removedStates, removedLayers } = await states.collect(() => findNeeded());
      for (const stateId of removedStates) lastUses.delete(stateId);
      const removed = removedStates.length + removedLayers.length;
      if (removed > 0) logger.info({ removedStates, removedLayers }, 'states and layers collected');
    } catch (err) {
      logger.error({ err }, 'states and layers not collected');
    }
  };

  return {
    hold(holding) {
      holdings.add(holding);
      return {
        [Symbol.dispose]: () => {
          holdings.delete(holding);
          for (const stateId of holding.states ?? []) lastUses.set(stateId, clock.now());
        },
      };
    },
    lastUseMs(stateId) {
      const isHeld = [...holdings].some(({ states: held = [] }) => held.includes(stateId));
      return isHeld ? undefined : (lastUses.get(stateId) ?? 0);
    },
    async drop(stateId) {
      if (stateId === '' || findNeeded().states.has(stateId)) return;
      try {
        await states.remove(stateId);
        lastUses.delete(stateId);
      } catch (err) {
        logger.error({ stateId, err }, 'state not removed');
      }
    },
    async setAside({ sandboxId, templateId, pagesFrom }, foundAtMs) {
      if (pagesFrom === '' || findNeeded(sandboxId).states.has(pagesFrom)) return;
      try {
        await states.setAside(pagesFrom, { sandboxId, templateId, foundAtMs });
        logger.warn({ sandboxId, stateId: pagesFrom }, 'damaged state kept for inspection');
      } catch (err) {
        logger.error({ sandboxId, stateId: pagesFrom, err }, 'damaged state not kept');
      }
    },
    async collect() {
      // One that has begun may have looked before the caller's change; one that waits has not.
      waiting ??= round.then(async () => {
        waiting = undefined;
        round = collectOnce();
        await round;
      });
      await waiting;
    },
  };
}
