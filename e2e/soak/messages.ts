import type { WorkerCounts } from '../chaos/messages.ts';
import type { Latencies } from './probe.ts';

export interface SoakOrder {
  readonly port: number;
  readonly seed: number;
  readonly connections: number;
  /** Operations at a time. */
  readonly lanes: number;
  /** Alone, then attacked, again and again: what changes on the machine changes both. */
  readonly rounds: number;
  readonly aloneSeconds: number;
  readonly attackedSeconds: number;
}

export interface SoakResult {
  readonly counts: WorkerCounts;
  readonly latencies: Latencies;
  readonly violations: readonly string[];
}

/** Sent by the worker: begun means that all it keeps open is open. */
export type SoakMessage = { readonly type: 'round'; readonly round: number } | ({ readonly type: 'done' } & SoakResult);
