import type { MetricFamily } from './text-format.ts';

export interface Histogram {
  /** Upper bounds, rising. */
  readonly bounds: readonly number[];
  /** Observations up to each bound and above the one before. */
  readonly counts: readonly number[];
  /** All observations, those above the last bound included. */
  readonly total: number;
  readonly sum: number;
}

/** One series of a histogram as Prometheus reads it: each bucket holds those below it too. */
export function samplesFromHistogram(
  labels: Readonly<Record<string, string>>,
  { bounds, counts, total, sum }: Histogram,
): MetricFamily['samples'] {
  let cumulated = 0;
  const buckets = bounds.map((bound, index) => {
    cumulated += counts[index] ?? 0;
    return { suffix: '_bucket', labels: { ...labels, le: String(bound) }, value: cumulated };
  });
  return [
    ...buckets,
    { suffix: '_bucket', labels: { ...labels, le: '+Inf' }, value: total },
    { suffix: '_sum', labels, value: sum },
    { suffix: '_count', labels, value: total },
  ];
}
