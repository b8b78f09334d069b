import type { Aim, Figure, Unit } from './measurement.ts';

/** The sample that `share` (0 to 1) of all samples do not exceed: nearest rank, without interpolation. */
export function percentile(samples: readonly number[], share: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  const rank = Math.max(1, Math.ceil(share * sorted.length));
  return sorted[rank - 1] ?? Number.NaN;
}

export interface Summary {
  readonly p50: number;
  /** The slow end: the smallest rate, the longest time. */
  readonly p99: number;
  readonly n: number;
}

export function summarize(figure: Figure): Summary {
  const { samples, unit } = figure;
  return {
    p50: percentile(samples, 0.5),
    p99: percentile(samples, isRate(unit) ? 0.01 : 0.99),
    n: samples.length,
  };
}

function isRate(unit: Unit): boolean {
  return unit === 'MiB/s' || unit === 'requests/s' || unit === '1/s' || unit === 'records/s';
}

/** `met`, or by how much the target was missed; empty without a target. */
export function judge(figure: Figure): string {
  const summary = summarize(figure);
  return (figure.aims ?? []).map((aim) => judgeOne(aim, summary[aim.at])).join(', ');
}

function judgeOne(aim: Aim, value: number): string {
  const limit = aim.atMost ?? aim.atLeast ?? Number.NaN;
  const missed = aim.atMost === undefined ? value < limit : value > limit;
  if (!missed) return 'met';
  return `${aim.at} missed by ${Math.round((Math.abs(value - limit) / limit) * 100)} %`;
}
