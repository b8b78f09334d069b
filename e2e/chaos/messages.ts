/** Messages from the process that kills the server to the process that uses it. */
export type Order =
  | {
      readonly type: 'start';
      readonly cycles: number;
      readonly lanes: number;
      readonly seed: number;
      /** Seconds between two steps of the programs inside. */
      readonly beat: number;
    }
  | { readonly type: 'verify' };

export interface WorkerCounts {
  cycles: number;
  commands: number;
  killed: number;
  expired: number;
  kept: number;
  /** Sandboxes that were paused and resumed, copied and saved as a snapshot. */
  slept: number;
  pauses: number;
  forks: number;
  /** Copies that an answered fork reports as failed. */
  copiesFailed: number;
  snapshots: number;
  /** Sandboxes created from snapshots. */
  copies: number;
  /** Creates without a response, or with an error, because the server was down. */
  createsCutOff: number;
  /** Other calls that had to be repeated. */
  retries: number;
}

/** Messages back. `violations` describe broken promises. */
export type Report =
  | { readonly type: 'progress'; readonly counts: WorkerCounts }
  | { readonly type: 'cyclesDone' }
  | { readonly type: 'result'; readonly counts: WorkerCounts; readonly violations: readonly string[] };
