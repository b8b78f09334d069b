import { SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { Template } from '@soulbox/templates';
import type { LiveSandbox } from './table.ts';

/** What spares are made of; those of one shelf are all alike. */
export interface Blueprint {
  readonly template: Template;
  /** Name of the driver. */
  readonly isolation: string;
}

export interface PoolOptions {
  /** Spares kept per template in use. */
  readonly size: number;
  /** Boots under way at once, over all templates. */
  readonly bootConcurrency: number;
  /** Spares of an unused template are removed after this long. */
  readonly idleMs: number;
  readonly boot: (blueprint: Blueprint) => Promise<LiveSandbox>;
  /** Makes a spare's first use quicker; left out when somebody waits for the sandbox. Never throws. */
  readonly rehearse: (sandbox: LiveSandbox, blueprint: Blueprint) => Promise<void>;
  readonly discard: (sandbox: LiveSandbox) => Promise<void>;
  readonly logger: Logger;
}

/** Creates that may wait for a boot at once; above it the host is overloaded and says so. */
const maxWaiting = 2000;
/** Pause after a failed refill, so that a broken host does not boot and fail without end. */
const refillPauseMs = 2000;
/** The same while the host's disk has no room for a spare, which passes more slowly. */
const fullPauseMs = 30_000;

/**
 * A refill waits this long while most spares are there: a boot takes some 100 ms of CPU, and the tenant who has just
 * got a sandbox is about to use it.
 */
const refillDelayMs = 300;

interface Waiter {
  resolve(sandbox: LiveSandbox): void;
  reject(error: unknown): void;
}

interface Shelf {
  blueprint: Blueprint;
  readonly spares: LiveSandbox[];
  readonly waiters: Waiter[];
  booting: number;
  usedAtMs: number;
  /** Refills of this shelf rest until then. */
  restUntilMs: number;
  /** The default template's spares are kept for ever. */
  pinned: boolean;
}

/**
 * Warm sandboxes by template and isolation. A create takes a spare if there is one, else it waits for the next boot that finishes:
 * whoever waits longest is served first, and boots for waiters come before refills.
 */
export interface Pool {
  /** Keeps spares of this template from now on; `pinned` for good. */
  keep(blueprint: Blueprint, options: { pinned: boolean }): void;
  /** Puts an adopted spare on its shelf. */
  put(blueprint: Blueprint, sandbox: LiveSandbox): void;
  /** A warm sandbox of the blueprint, for the caller alone. Throws `sandbox_start_failed`. */
  take(blueprint: Blueprint): Promise<LiveSandbox>;
  /** Takes a dead spare off its shelf. */
  drop(sandboxId: string): void;
  /** Spares that are ready, over all templates. */
  readyCount(): number;
  /** Removes the spares of templates that have not been used for long. Called now and then. */
  sweep(nowMs: number): Promise<void>;
  /** Stops booting and waits for what is under way. Spares stay for the next server. */
  close(): Promise<void>;
}

function isDiskFull(error: unknown): boolean {
  return error instanceof SoulBoxError && error.reason === 'disk_full';
}

export function createPool(options: PoolOptions): Pool {
  const shelves = new Map<string, Shelf>();
  const boots = new Set<Promise<void>>();
  let closed = false;

  const shelfOf = (blueprint: Blueprint): Shelf => {
    const name = `${blueprint.template.templateId} ${blueprint.isolation}`;
    const known = shelves.get(name);
    if (known !== undefined) {
      known.blueprint = blueprint;
      return known;
    }
    const shelf: Shelf = {
      blueprint,
      spares: [],
      waiters: [],
      booting: 0,
      usedAtMs: Date.now(),
      restUntilMs: 0,
      pinned: false,
    };
    shelves.set(name, shelf);
    return shelf;
  };

  const missing = (shelf: Shelf): number => {
    const refill = performance.now() < shelf.restUntilMs ? 0 : options.size - shelf.spares.length;
    return shelf.waiters.length + Math.max(0, refill) - shelf.booting;
  };

  const startBoots = (): void => {
    while (!closed && boots.size < options.bootConcurrency) {
      const all = [...shelves.values()];
      const next = all.find((shelf) => shelf.waiters.length > shelf.booting) ?? all.find((shelf) => missing(shelf) > 0);
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
      if (shelf.waiters.length === 0) await options.rehearse(sandbox, shelf.blueprint);
      shelf.booting--;
      hand(shelf, sandbox);
    } catch (error) {
      shelf.booting--;
      const waiter = shelf.waiters.shift();
      if (waiter !== undefined) waiter.reject(error);
      else restRefills(shelf, isDiskFull(error) ? fullPauseMs : refillPauseMs);
    }
  };

  const hand = (shelf: Shelf, sandbox: LiveSandbox): void => {
    const waiter = shelf.waiters.shift();
    if (waiter !== undefined) waiter.resolve(sandbox);
    else shelf.spares.push(sandbox);
  };

  return {
    keep(blueprint, { pinned }) {
      const shelf = shelfOf(blueprint);
      shelf.pinned ||= pinned;
      startBoots();
    },
    put(blueprint, sandbox) {
      hand(shelfOf(blueprint), sandbox);
    },
    async take(blueprint) {
      if (closed) throw new SoulBoxError('shutting_down', 'The server is stopping. Retry against the next one.');
      const shelf = shelfOf(blueprint);
      shelf.usedAtMs = Date.now();
      const spare = shelf.spares.shift();
      if (spare !== undefined) {
        if (shelf.spares.length > options.size / 2) restRefills(shelf, refillDelayMs);
        startBoots();
        return spare;
      }
      if (shelf.waiters.length >= maxWaiting) {
        throw new SoulBoxError('too_many_sandboxes', 'Too many creates wait for this host. Retry later.');
      }
      return await new Promise<LiveSandbox>((resolve, reject) => {
        shelf.waiters.push({ resolve, reject });
        startBoots();
      });
    },
    drop(sandboxId) {
      for (const shelf of shelves.values()) {
        const index = shelf.spares.findIndex((spare) => spare.record.sandboxId === sandboxId);
        if (index >= 0) shelf.spares.splice(index, 1);
      }
      startBoots();
    },
    readyCount: () => [...shelves.values()].reduce((sum, shelf) => sum + shelf.spares.length, 0),
    async sweep(nowMs) {
      for (const [name, shelf] of shelves) {
        if (shelf.pinned || shelf.waiters.length > 0 || nowMs - shelf.usedAtMs < options.idleMs) continue;
        shelves.delete(name);
        for (const spare of shelf.spares) await options.discard(spare);
      }
    },
    async close() {
      closed = true;
      for (const shelf of shelves.values()) {
        for (const waiter of shelf.waiters.splice(0)) {
          waiter.reject(new SoulBoxError('shutting_down', 'The server is stopping. Retry against the next one.'));
        }
      }
      await Promise.all(boots);
    },
  };
}
