import type { OpcodeName } from '../wire/opcodes.ts';

export interface OperationStats {
  readonly count: number;
  readonly errors: number;
  /** From the request that was read to its reply. */
  readonly totalMs: number;
  readonly maxMs: number;
}

export interface SessionStats {
  readonly operations: Readonly<Partial<Record<OpcodeName, OperationStats>>>;
  /** Requests that were read and have no reply yet, without those that wait for a lock. */
  readonly inFlight: number;
  readonly waiting: number;
  /** Requests that the kernel sent again after a takeover, and those of them that had been carried out. */
  readonly resent: number;
  readonly replayed: number;
  /** Messages that could not be decoded, and errors of the file system that were not a `FuseError`. */
  readonly faults: number;
  readonly knownNodes: number;
}

export interface StatsRecorder {
  readonly record: (name: OpcodeName, durationMs: number, failed: boolean) => void;
  readonly operations: () => SessionStats['operations'];
}

export function createStatsRecorder(): StatsRecorder {
  const all = new Map<OpcodeName, { count: number; errors: number; totalMs: number; maxMs: number }>();
  return {
    record: (name, durationMs, failed) => {
      let stats = all.get(name);
      if (stats === undefined) all.set(name, (stats = { count: 0, errors: 0, totalMs: 0, maxMs: 0 }));
      stats.count += 1;
      if (failed) stats.errors += 1;
      stats.totalMs += durationMs;
      if (durationMs > stats.maxMs) stats.maxMs = durationMs;
    },
    operations: () => Object.fromEntries([...all].map(([name, stats]) => [name, { ...stats }])),
  };
}
