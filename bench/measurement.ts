import type { Lab } from './lab.ts';

export type Unit = 'ms' | 'MiB' | 'MiB/s' | 'requests/s' | '% of a core';

/** A promise about one end of the samples. */
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
  /** What a reader must know to judge the number. */
  readonly note?: string;
}

/** Something that could not be measured here, and why. */
export interface Skipped {
  readonly what: string;
  readonly skipped: string;
}

export interface Measurement {
  /** What `npm run bench -- NAME` calls it. */
  readonly name: string;
  /** Gives each figure as soon as it is there: what fails later does not lose it. */
  run(lab: Lab): AsyncIterable<Figure | Skipped>;
}

/** What a measurement failed at; the figures before it stand. */
export interface Failed {
  readonly what: string;
  readonly failed: string;
}

export type Result = Figure | Skipped | Failed;

export function isFigure(result: Result): result is Figure {
  return 'samples' in result;
}
