import type { Blueprint } from '../processes/blueprint.ts';
import type { LiveSandbox } from '../registry/table.ts';
import { createDemand } from './demand.ts';
import type { Demand, DemandOptions } from './demand.ts';

export interface Waiter {
  resolve(sandbox: LiveSandbox): void;
  reject(error: unknown): void;
}

export interface Spare {
  readonly sandbox: LiveSandbox;
  /** Bytes of memory at the time when it was put on its shelf. */
  readonly bytes: number;
}

/** The spares of one blueprint, oldest first, and the creates that wait for one. */
export interface Shelf {
  blueprint: Blueprint;
  readonly spares: Spare[];
  readonly waiters: Waiter[];
  readonly demand: Demand;
  booting: number;
  usedAtMs: number;
  /** Memory of its largest spare so far. 0 until there was one. */
  spareBytes: number;
  /** Number of current pauses of its refills. */
  pauses: number;
  /** It keeps as many spares as the pool's size says, whether they are used or not. */
  isPinned: boolean;
}

export function createShelf(blueprint: Blueprint, options: DemandOptions, nowMs: number): Shelf {
  const empty = { spares: [], waiters: [], booting: 0, spareBytes: 0, pauses: 0 };
  return { ...empty, blueprint, demand: createDemand(options), usedAtMs: nowMs, isPinned: false };
}
