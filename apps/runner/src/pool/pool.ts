import { SoulBoxError } from '@soulbox/base';
import type { Blueprint } from '../processes/blueprint.ts';
import { shelfNameOf } from '../processes/blueprint.ts';
import type { LiveSandbox } from '../registry/table.ts';
import { wantedOn } from './policy.ts';
import { createRefill, takeOff } from './refill.ts';
import type { RefillOptions } from './refill.ts';
import { createShelf } from './shelf.ts';
import type { Shelf } from './shelf.ts';

export interface PoolOptions extends RefillOptions {
  /** The highest number of spares of an unpinned blueprint. The number follows its use. */
  readonly maxByUse: number;
  /** Spares of an unused blueprint are removed after this long. */
  readonly idleMs: number;
}

/** Creates that may wait for a boot at once. More are refused, because the host is overloaded. */
const maxWaiting = 2000;

/**
 * A refill waits this long while most spares are there. A boot takes some 100 ms of CPU, and the tenant who has just
 * got a sandbox is about to use it.
 */
const refillDelayMs = 300;

/** Sums over all blueprints. */
export interface PoolFigures {
  readonly ready: number;
  /** The number of spares that there should be now. */
  readonly wanted: number;
  readonly booting: number;
  readonly waiting: number;
  /** Since the start, including boots of spares. */
  readonly failedBoots: number;
  /** Creates since the start that found a spare. */
  readonly served: number;
  /** Creates since the start that had to wait for a boot. */
  readonly waited: number;
}

/**
 * Warm sandboxes by blueprint. A create takes a spare if there is one. Otherwise it waits for the next boot that
 * finishes; the longest wait is served first, and boots for waiting creates come before refills. `policy.ts` decides
 * what to boot, `refill.ts` boots it.
 */
export interface Pool {
  /** From now on keeps as many spares as the pool's size says, whether they are used or not. */
  pin(blueprint: Blueprint): void;
  /** Puts an adopted spare on its shelf. */
  put(blueprint: Blueprint, sandbox: LiveSandbox): void;
  /** A warm sandbox of the blueprint, for the caller alone. Throws the errors of a boot. */
  take(blueprint: Blueprint): Promise<LiveSandbox>;
  /** Takes a dead spare off its shelf. */
  drop(sandboxId: string): void;
  /** Spares that are ready, over all blueprints. */
  readyCount(): number;
  figures(): PoolFigures;
  /**
   * Removes the spares of blueprints that were not used for long, or that `isGone` says no longer exist. Called now and
   * then.
   */
  sweep(nowMs: number, isGone?: (blueprint: Blueprint) => boolean): Promise<void>;
  /** Stops booting and waits for boots in progress. Spares stay for the next server. */
  close(): Promise<void>;
}

export function createPool(options: PoolOptions): Pool {
  const { clock, idleMs } = options;
  const shelves = new Map<string, Shelf>();
  const refill = createRefill(shelves, options);
  let isClosed = false;
  const taken = { served: 0, waited: 0 };

  const shelfOf = (blueprint: Blueprint): Shelf => {
    const name = shelfNameOf(blueprint);
    const shelf = shelves.get(name) ?? createShelf(blueprint, { idleMs, maxSpares: options.maxByUse }, clock.now());
    shelf.blueprint = blueprint;
    shelves.set(name, shelf);
    return shelf;
  };
  const sumOf = (count: (shelf: Shelf) => number): number =>
    [...shelves.values()].reduce((sum, shelf) => sum + count(shelf), 0);
  const readyCount = (): number => sumOf(({ spares }) => spares.length);

  return {
    pin(blueprint) {
      shelfOf(blueprint).isPinned = true;
      refill.start();
    },
    put(blueprint, sandbox) {
      refill.hand(shelfOf(blueprint), sandbox, 0);
    },
    async take(blueprint) {
      if (isClosed) throw stoppingError();
      const shelf = shelfOf(blueprint);
      shelf.usedAtMs = clock.now();
      shelf.demand.note(shelf.usedAtMs);
      const spare = shelf.spares.shift();
      taken[spare === undefined ? 'waited' : 'served'] += 1;
      if (spare === undefined) return await waitFor(shelf, () => refill.start());
      if (shelf.spares.length > wantedOn(shelf, options, clock.now()) / 2) refill.pause(shelf, refillDelayMs);
      refill.start();
      return spare.sandbox;
    },
    drop(sandboxId) {
      takeOff(shelves.values(), sandboxId);
      refill.start();
    },
    readyCount,
    figures: () => ({
      ready: readyCount(),
      wanted: sumOf((shelf) => wantedOn(shelf, options, clock.now())),
      booting: refill.booting(),
      waiting: sumOf(({ waiters }) => waiters.length),
      failedBoots: refill.failedBoots(),
      ...taken,
    }),
    async sweep(nowMs, isGone = () => false) {
      for (const [name, shelf] of shelves) {
        const isUnused = nowMs - shelf.usedAtMs >= idleMs || isGone(shelf.blueprint);
        if (shelf.isPinned || shelf.waiters.length > 0 || !isUnused) continue;
        if (shelf.booting === 0) shelves.delete(name);
        for (const { sandbox } of shelf.spares.splice(0)) await options.discard(sandbox);
      }
    },
    async close() {
      isClosed = true;
      for (const { waiters } of shelves.values())
        for (const waiter of waiters.splice(0)) waiter.reject(stoppingError());
      await refill.close();
    },
  };
}

async function waitFor(shelf: Shelf, startBoots: () => void): Promise<LiveSandbox> {
  if (shelf.waiters.length >= maxWaiting) {
    throw new SoulBoxError('too_many_sandboxes', 'Too many creates are waiting for this host. Retry later.');
  }
  return await new Promise<LiveSandbox>((resolve, reject) => {
    shelf.waiters.push({ resolve, reject });
    startBoots();
  });
}

function stoppingError(): SoulBoxError {
  return new SoulBoxError('shutting_down', 'The server is stopping. Retry when it is up again.');
}
