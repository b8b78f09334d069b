import { isDiskFull } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { Blueprint } from '../processes/blueprint.ts';
import type { LiveSandbox } from '../registry/table.ts';
import { chooseBoot } from './policy.ts';
import type { PoolLimits } from './policy.ts';
import type { Shelf } from './shelf.ts';

export interface RefillOptions extends PoolLimits {
  /** Limit of concurrent boots over all blueprints. */
  readonly bootConcurrency: number;
  /** Makes a sandbox that can be claimed. */
  readonly boot: (blueprint: Blueprint) => Promise<LiveSandbox>;
  /**
   * Prepares a spare for waiting and returns the bytes of memory that it takes. It is not called when a create waits
   * for the sandbox. A spare for which it throws is discarded.
   */
  readonly rest: (sandbox: LiveSandbox, blueprint: Blueprint) => Promise<number>;
  readonly discard: (sandbox: LiveSandbox) => Promise<void>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Pause after a failed refill, so that a broken host does not boot and fail endlessly. */
const refillPauseMs = 2000;
/** The pause after a longer-lasting failure: no room on the host's disk, or a snapshot that cannot be restored. */
const longPauseMs = 30_000;

/** Boots sandboxes onto shelves, for waiting creates first and then as spares. */
export interface Refill {
  /** Starts the boots that are due. Called after every change of a shelf. */
  start(): void;
  /** Gives a sandbox to the create that waits longest, or puts it on the shelf. */
  hand(shelf: Shelf, sandbox: LiveSandbox, bytes: number): void;
  /** Starts no refill of the shelf for this time. Boots for waiting creates continue. */
  pause(shelf: Shelf, ms: number): void;
  /** Number of boots in progress. */
  booting(): number;
  /** Since the start, including boots of spares. */
  failedBoots(): number;
  /** Starts no more boots and waits for boots in progress. */
  close(): Promise<void>;
}

export function createRefill(shelves: ReadonlyMap<string, Shelf>, options: RefillOptions): Refill {
  const boots = new Set<Promise<void>>();
  let isClosed = false;
  let failedBoots = 0;

  const start = (): void => {
    while (!isClosed && boots.size < options.bootConcurrency) {
      const all = [...shelves.values()];
      const next = chooseBoot(all, options, options.clock.now());
      if (next === undefined) return;
      for (const { sandbox } of next.insteadOf) {
        takeOff(all, sandbox.record.sandboxId);
        discard(options, sandbox);
      }
      const boot = bootOnto(next.shelf).finally(() => {
        boots.delete(boot);
        start();
      });
      boots.add(boot);
    }
  };

  const bootOnto = async (shelf: Shelf): Promise<void> => {
    shelf.booting++;
    try {
      const sandbox = await options.boot(shelf.blueprint);
      const bytes = shelf.waiters.length === 0 ? await ready(options, sandbox, shelf.blueprint) : 0;
      shelf.booting--;
      hand(shelf, sandbox, bytes);
    } catch (error) {
      shelf.booting--;
      failedBoots++;
      const waiter = shelf.waiters.shift();
      if (waiter !== undefined) waiter.reject(error);
      else pause(shelf, pauseAfter(error, shelf.blueprint));
    }
  };

  const pause = (shelf: Shelf, ms: number): void => {
    shelf.pauses++;
    setTimeout(() => {
      shelf.pauses--;
      start();
    }, ms).unref();
  };

  return {
    start,
    hand,
    pause,
    booting: () => boots.size,
    failedBoots: () => failedBoots,
    async close() {
      isClosed = true;
      await Promise.all(boots);
    },
  };
}

/** Finds a spare on the shelves and takes it off. */
export function takeOff(shelves: Iterable<Shelf>, sandboxId: string): void {
  for (const { spares } of shelves) {
    const index = spares.findIndex(({ sandbox }) => sandbox.record.sandboxId === sandboxId);
    if (index >= 0) spares.splice(index, 1);
  }
}

function hand(shelf: Shelf, sandbox: LiveSandbox, bytes: number): void {
  const waiter = shelf.waiters.shift();
  if (waiter !== undefined) {
    waiter.resolve(sandbox);
    return;
  }
  shelf.spareBytes = Math.max(shelf.spareBytes, bytes);
  shelf.spares.push({ sandbox, bytes });
}

async function ready(options: RefillOptions, sandbox: LiveSandbox, blueprint: Blueprint): Promise<number> {
  try {
    return await options.rest(sandbox, blueprint);
  } catch (error) {
    discard(options, sandbox);
    throw error;
  }
}

function discard(options: RefillOptions, sandbox: LiveSandbox): void {
  options.discard(sandbox).catch((err: unknown) => {
    options.logger.error({ sandboxId: sandbox.record.sandboxId, err }, 'spare could not be removed');
  });
}

function pauseAfter(error: unknown, { kind }: Blueprint): number {
  return kind === 'snapshot' || isDiskFull(error) ? longPauseMs : refillPauseMs;
}
