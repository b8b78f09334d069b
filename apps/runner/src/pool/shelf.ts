import type { LiveSandbox } from '../registry/table.ts';
import type { Blueprint } from '../processes/blueprint.ts';
import { createDemand } from './demand.ts';
import type { Demand, DemandOptions } from './demand.ts';

export interface Waiter {
  resolve(sandbox: LiveSandbox): void;
  reject(error: unknown): void;
}

export interface Spare {
  readonly sandbox: LiveSandbox;
  /** Of memory, as it was when it came onto its shelf. */
  readonly bytes: number;
}

/** The spares of one blueprint, oldest first, and whoever waits for one. */
export interface Shelf {
  blueprint: Blueprint;
  readonly spares: Spare[];
  readonly waiters: Waiter[];
  readonly demand: Demand;
  booting: number;
  usedAtMs: number;
  /** What the largest of its spares took. */
  spareBytes: number;
  /** Refills rest until then, by `performance.now()`. */
  restUntilMs: number;
  /** The default template's spares are kept for ever, as many as the pool's size says. */
  isPinned: boolean;
}

export function createShelf(blueprint: Blueprint, options: DemandOptions): Shelf {
  const nobody = { spares: [], waiters: [], booting: 0, spareBytes: 0, restUntilMs: 0 };
  return { ...nobody, blueprint, demand: createDemand(options), usedAtMs: Date.now(), isPinned: false };
}
