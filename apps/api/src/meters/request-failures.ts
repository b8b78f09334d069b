import type { Reason } from '@soulbox/base';
import type { MetricFamily } from './text-format.ts';

/**
 * Counts responses of 500 and above, and those of 429, by reason. docs/errors.md limits the number of reasons.
 */
export interface RequestFailures {
  note(reason: Reason): void;
  /** A limit, rate or budget was reached. */
  noteRefusal(reason: Reason): void;
  families(): MetricFamily[];
}

export function createRequestFailures(): RequestFailures {
  const failures = new Map<Reason, number>();
  const refusals = new Map<Reason, number>();
  const increment = (counts: Map<Reason, number>, reason: Reason): void =>
    void counts.set(reason, (counts.get(reason) ?? 0) + 1);
  const family = (name: string, help: string, counts: ReadonlyMap<Reason, number>): MetricFamily => ({
    ...{ name, help, type: 'counter' },
    samples: [...counts].map(([reason, value]) => ({ labels: { reason }, value })),
  });
  return {
    note: (reason) => increment(failures, reason),
    noteRefusal: (reason) => increment(refusals, reason),
    families: () => [
      family('soulbox_request_failures_total', 'Responses of the API with status 500 or above, by reason.', failures),
      family('soulbox_request_refusals_total', 'Responses of the API with status 429, by reason.', refusals),
    ],
  };
}
