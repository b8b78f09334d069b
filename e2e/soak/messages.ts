import type { WorkerCounts } from '../chaos/messages.ts';
import type { Latencies } from './probe.ts';

export interface SoakOrder {
  readonly port: number;
  readonly seed: number;
  readonly connections: number;
  /** Operations at the same time. */
  readonly lanes: number;
  /** Alternates between normal and attacked, so that changes of the machine affect both. */
  readonly rounds: number;
  readonly aloneSeconds: number;
  readonly attackedSeconds: number;
}

export interface SoakResult {
  readonly counts: WorkerCounts;
  readonly latencies: Latencies;
  readonly violations: readonly string[];
}

/** Sent by the worker. `begun` means that all its connections are open. */
export type SoakMessage = { readonly type: 'round'; readonly round: number } | ({ readonly type: 'done' } & SoakResult);
