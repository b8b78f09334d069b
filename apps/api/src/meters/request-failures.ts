import type { Reason } from '@soulbox/base';
import type { MetricFamily } from './text-format.ts';

/** Counts responses of 500 and above by reason. docs/errors.md limits the number of reasons. */
export interface RequestFailures {
  note(reason: Reason): void;
  family(): MetricFamily;
}

export function createRequestFailures(): RequestFailures {
  const counts = new Map<Reason, number>();
  return {
    note: (reason) => void counts.set(reason, (counts.get(reason) ?? 0) + 1),
    family: () => ({
      name: 'soulbox_request_failures_total',
      help: 'Responses of the API with status 500 or above, by reason.',
      type: 'counter',
      samples: [...counts].map(([reason, value]) => ({ labels: { reason }, value })),
    }),
  };
}
