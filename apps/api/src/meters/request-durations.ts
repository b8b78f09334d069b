import { samplesFromHistogram } from './histogram.ts';
import type { MetricFamily } from './text-format.ts';

/** Upper bounds in seconds. A warm create takes 10 to 50 ms, a cold one up to seconds. */
const bounds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 60] as const;

interface Series {
  readonly labels: Readonly<Record<string, string>>;
  readonly counts: number[];
  sum: number;
  total: number;
}

/** A histogram of request durations. Its labels come from the route table, so their number is limited. */
export interface RequestDurations {
  observe(method: string, route: string, status: number, seconds: number): void;
  family(): MetricFamily;
}

export function createRequestDurations(): RequestDurations {
  const series = new Map<string, Series>();
  return {
    observe: (method, route, status, seconds) => {
      // Unknown routes share one series, because the caller can invent methods.
      const labels = { method: route === 'none' ? 'any' : method, route, status: String(status) };
      const id = Object.values(labels).join(' ');
      const entry = series.get(id) ?? { labels, counts: bounds.map(() => 0), sum: 0, total: 0 };
      series.set(id, entry);
      const bucket = bounds.findIndex((bound) => seconds <= bound);
      if (bucket >= 0) entry.counts[bucket] = (entry.counts[bucket] ?? 0) + 1;
      entry.sum += seconds;
      entry.total += 1;
    },
    family: () => ({
      name: 'soulbox_api_request_duration_seconds',
      help: 'Time from the headers of a request to the end of its response.',
      type: 'histogram',
      samples: [...series.values()].flatMap(({ labels, ...one }) => samplesFromHistogram(labels, { bounds, ...one })),
    }),
  };
}
