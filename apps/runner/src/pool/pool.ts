import { isDiskFull, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { LiveSandbox } from '../registry/table.ts';
import { shelfNameOf } from '../processes/blueprint.ts';
import type { Blueprint } from '../processes/blueprint.ts';
import { findRoom } from './memory-bound.ts';
import { createShelf } from './shelf.ts';
import type { Shelf } from './shelf.ts';

export interface PoolOptions {
  /** Spares of a pinned blueprint. */
  readonly size: number;
  /** Spares of any other one, at most: their number follows its use. */
  readonly maxByUse: number;
  /** Memory that spares of blueprints that are not pinned may take together. */
  readonly memoryLimitBytes: number;
  /** Boots under way at once, over all blueprints. */
  readonly bootConcurrency: number;
  /** Spares of an unused blueprint are removed after this long. */
  readonly idleMs: number;
  /** Makes a sandbox that can be claimed. */
  readonly boot: (blueprint: Blueprint) => Promise<LiveSandbox>;
  /**
   * Readies a spare for its wait, and gives the memory that it takes in bytes; left out when somebody waits for the sandbox. A spare
   * for which it throws is discarded.
   */
  readonly rest: (sandbox: LiveSandbox, blueprint: Blueprint) => Promise<number>;
  readonly discard: (sandbox: LiveSandbox) => Promise<void>;
  readonly logger: Logger;
}

/** Creates that may wait for a boot at once; above it the host is overloaded and says so. */
const maxWaiting = 2000;
/** Pause after a failed refill, so that a broken host does not boot and fail without end. */
const refillPauseMs = 2000;
/** The same while the host's disk has no room for a spare, which passes more slowly, and for a snapshot that cannot be restored. */
const longPauseMs = 30_000;

/**
 * A refill waits this long while most spares are there: a boot takes some 100 ms of CPU, and the tenant who has just
 * got a sandbox is about to use it.
 */
const refillDelayMs = 300;

/** Over all blueprints. */
export interface PoolFigures {
  readonly ready: number;
  /** How many there are to be right now. */
  readonly wanted: number;
  readonly booting: number;
  readonly waiting: number;
  /** Since the start, those of spares included. */
  readonly failedBoots: number;
}

/**
 * Warm sandboxes by blueprint. A create takes a spare if there is one, else it waits for the next boot that finishes:
 * whoever waits longest is served first, and boots for waiters come before refills.
 */
export interface Pool {
  /** Keeps as many spares as the pool's size says from now on, whether they are used or not. */
  pin(blueprint: Blueprint): void;
  /** Puts an adopted spare on its shelf. */
  put(blueprint: Blueprint, sandbox: LiveSandbox): void;
  /** A warm sandbox of the blueprint, for the caller alone. Throws what a boot throws. */
  take(blueprint: Blueprint): Promise<LiveSandbox>;
  /** Takes a dead spare off its shelf. */
  drop(sandboxId: string): void;
  /** Spares that are ready, over all blueprints. */
  readyCount(): number;
  figures(): PoolFigures;
  /** Removes the spares of what has not been used for long, or what `isGone` says is there no more. Called now and then. */
  sweep(nowMs: number, isGone?: (blueprint: Blueprint) => boolean): Promise<void>;
  /** Stops booting and waits for what is under way. Spares stay for the next server. */
  close(): Promise<void>;
}

function pauseAfter(error: unknown, { kind }: Blueprint): number {
  return kind === 'snapshot' || isDiskFull(error) ? longPauseMs : refillPauseMs;
}

export function createPool(options: PoolOptions): Pool {
  const { idleMs, logger } = options;
  const shelves = new Map<string, Shelf>();
  const boots = new Set<Promise<void>>();
  let closed = false;
  let failedBoots = 0;

  const shelfOf = (blueprint: Blueprint): Shelf => {
    const name = shelfNameOf(blueprint);
    const known = shelves.get(name);
    if (known !== undefined) {
      known.blueprint = blueprint;
      return known;
    }
    const shelf = createShelf(blueprint, { idleMs, maxSpares: options.maxByUse });
    shelves.set(name, shelf);
    return shelf;
  };

  const wantedOn = (shelf: Shelf): number => (shelf.isPinned ? options.size : shelf.demand.wanted(Date.now()));

  const lacksSpares = (shelf: Shelf): boolean => {
    if (performance.now() < shelf.restUntilMs) return false;
    return wantedOn(shelf) - shelf.spares.length + shelf.waiters.length > shelf.booting;
  };

  const discard = (sandbox: LiveSandbox): void => {
    options.discard(sandbox).catch((err: unknown) => {
      logger.error({ sandboxId: sandbox.record.sandboxId, err }, 'spare not removed');
    });
  };

  /** Room of memory for a spare, made by giving away one of what was not used for longer. */
  const makeRoom = (shelf: Shelf): boolean => {
    const room = findRoom(shelves.values(), shelf, options.memoryLimitBytes);
    if (typeof room === 'string') return room === 'free';
    const spare = room.insteadOf.spares.shift();
    if (spare !== undefined) discard(spare.sandbox);
    return makeRoom(shelf);
  };

  const startBoots = (): void => {
    while (!closed && boots.size < options.bootConcurrency) {
      const all = [...shelves.values()];
      const next =
        all.find((shelf) => shelf.waiters.length > shelf.booting) ??
        all.find((shelf) => lacksSpares(shelf) && makeRoom(shelf));
      if (next === undefined) return;
      const boot = bootOnto(next).finally(() => {
        boots.delete(boot);
        startBoots();
      });
      boots.add(boot);
    }
  };

  const restRefills = (shelf: Shelf, ms: number): void => {
    shelf.restUntilMs = Math.max(shelf.restUntilMs, performance.now() + ms);
    setTimeout(startBoots, ms + 1).unref();
  };

  const bootOnto = async (shelf: Shelf): Promise<void> => {
    shelf.booting++;
    try {
      const sandbox = await options.boot(shelf.blueprint);
      const bytes = shelf.waiters.length === 0 ? await ready(sandbox, shelf.blueprint) : 0;
      shelf.booting--;
      hand(shelf, sandbox, bytes);
    } catch (error) {
      shelf.booting--;
      failedBoots++;
      const waiter = shelf.waiters.shift();
      if (waiter !== undefined) waiter.reject(error);
      else restRefills(shelf, pauseAfter(error, shelf.blueprint));
    }
  };

  const ready = async (sandbox: LiveSandbox, blueprint: Blueprint): Promise<number> => {
    try {
      return await options.rest(sandbox, blueprint);
    } catch (error) {
      discard(sandbox);
      throw error;
    }
  };

  const hand = (shelf: Shelf, sandbox: LiveSandbox, bytes: number): void => {
    const waiter = shelf.waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve(sandbox);
      return;
    }
    shelf.spareBytes = Math.max(shelf.spareBytes, bytes);
    shelf.spares.push({ sandbox, bytes });
  };

  const sumOf = (count: (shelf: Shelf) => number): number =>
    [...shelves.values()].reduce((sum, shelf) => sum + count(shelf), 0);
  const readyCount = (): number => sumOf((shelf) => shelf.spares.length);

  return {
    pin(blueprint) {
      shelfOf(blueprint).isPinned = true;
      startBoots();
    },
    put(blueprint, sandbox) {
      hand(shelfOf(blueprint), sandbox, 0);
    },
    async take(blueprint) {
      if (closed) throw new SoulBoxError('shutting_down', 'The server is stopping. Retry when it is up again.');
      const shelf = shelfOf(blueprint);
      shelf.usedAtMs = Date.now();
      shelf.demand.note(shelf.usedAtMs);
      const spare = shelf.spares.shift();
      if (spare !== undefined) {
        if (shelf.spares.length > wantedOn(shelf) / 2) restRefills(shelf, refillDelayMs);
        startBoots();
        return spare.sandbox;
      }
      if (shelf.waiters.length >= maxWaiting) {
        throw new SoulBoxError('too_many_sandboxes', 'Too many creates are waiting for this host. Retry later.');
      }
      return await new Promise<LiveSandbox>((resolve, reject) => {
        shelf.waiters.push({ resolve, reject });
        startBoots();
      });
    },
    drop(sandboxId) {
      for (const { spares } of shelves.values()) {
        const index = spares.findIndex(({ sandbox }) => sandbox.record.sandboxId === sandboxId);
        if (index >= 0) spares.splice(index, 1);
      }
      startBoots();
    },
    readyCount,
    figures: () => ({
      ready: readyCount(),
      wanted: sumOf(wantedOn),
      booting: boots.size,
      waiting: sumOf((shelf) => shelf.waiters.length),
      failedBoots,
    }),
    async sweep(nowMs, isGone = () => false) {
      for (const [name, shelf] of shelves) {
        const isUnused = nowMs - shelf.usedAtMs >= idleMs || isGone(shelf.blueprint);
        if (shelf.isPinned || shelf.waiters.length > 0) continue;
        if (isUnused && shelf.booting === 0) shelves.delete(name);
        for (const { sandbox } of isUnused ? shelf.spares.splice(0) : []) await options.discard(sandbox);
      }
    },
    async close() {
      closed = true;
      for (const shelf of shelves.values()) {
        for (const waiter of shelf.waiters.splice(0)) {
          waiter.reject(new SoulBoxError('shutting_down', 'The server is stopping. Retry when it is up again.'));
        }
      }
      await Promise.all(boots);
    },
  };
}
