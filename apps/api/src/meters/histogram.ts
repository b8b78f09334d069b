import type { MetricFamily } from './text-format.ts';

export interface Histogram {
  /** Upper bounds in ascending order. */
  readonly bounds: readonly number[];
  /** Observations for each bound, above the previous bound. */
  readonly counts: readonly number[];
  /** All observations, including those above the last bound. */
  readonly total: number;
  readonly sum: number;
}

/** One histogram series in Prometheus' form: each bucket includes the lower ones. */
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
