import type { Lab } from './lab.ts';

export type Unit = 'ms' | 'MiB' | 'MiB/s' | 'requests/s' | '1/s' | 'records/s' | '% of a core';

/** A target for one end of the samples. */
export interface Aim {
  readonly at: 'p50' | 'p99';
  readonly atMost?: number;
  readonly atLeast?: number;
}

/** Samples of one quantity. For rates p99 is the slow end, as for times. */
export interface Figure {
  readonly what: string;
  readonly unit: Unit;
  readonly samples: readonly number[];
  readonly aims?: readonly Aim[];
  /** What a reader must know to interpret the number. */
  readonly note?: string;
}

/** A measurement that was not possible here, and why. */
export interface Skipped {
  readonly what: string;
  readonly skipped: string;
}

export interface Measurement {
  /** The NAME in `npm run bench -- NAME`. */
  readonly name: string;
  /** Returns each figure as soon as it is available, so that a later failure does not lose it. */
  run(lab: Lab): AsyncIterable<Figure | Skipped>;
}

/** The error of a failed measurement; the figures before it stay valid. */
export interface Failed {
  readonly what: string;
  readonly failed: string;
}

export type Result = Figure | Skipped | Failed;

export function isFigure(result: Result): result is Figure {
  return 'samples' in result;
}
