/** What the process that kills the server tells the one that uses it. */
export type Order =
  | { readonly type: 'start'; readonly cycles: number; readonly lanes: number; readonly seed: number }
  | { readonly type: 'verify' };

export interface WorkerCounts {
  cycles: number;
  commands: number;
  killed: number;
  expired: number;
  kept: number;
  /** Slept and woke, was copied and kept as a snapshot. */
  slept: number;
  pauses: number;
  forks: number;
  /** Of a fork that was answered, those that it says could not be made. */
  copiesFailed: number;
  snapshots: number;
  /** Made from snapshots. */
  copies: number;
  /** Creates that gave no answer, or an error, because the server was away. */
  createsCutOff: number;
  /** Other calls that had to be made again. */
  retries: number;
}

/** And back. `violations` are broken promises, in words. */
export type Report =
  | { readonly type: 'progress'; readonly counts: WorkerCounts }
  | { readonly type: 'cyclesDone' }
  | { readonly type: 'result'; readonly counts: WorkerCounts; readonly violations: readonly string[] };
