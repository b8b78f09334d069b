import type { ApiContext } from '../context.ts';
import { gauge } from '../meters/text-format.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** Nothing on a server without witnesses. */
export function witnessFamilies({ witnessing }: ApiContext): MetricFamily[] {
  const figures = witnessing.listFigures();
  if (figures.length === 0) return [];
  const counter = (name: string, help: string, of: (one: (typeof figures)[number]) => number): MetricFamily => ({
    ...{ name, help, type: 'counter' },
    samples: figures.map((one) => ({ labels: { witness: one.name }, value: of(one) })),
  });
  return [
    gauge(
      'soulbox_audit_logs_unwitnessed',
      'Audit logs with records that not enough witnesses have signed.',
      witnessing.countBehind(),
    ),
    counter(
      'soulbox_audit_witness_signatures_total',
      'Checkpoints that a witness has signed.',
      (one) => one.signatures,
    ),
    counter(
      'soulbox_audit_witness_failures_total',
      'Requests that a witness did not answer or refused.',
      (one) => one.failures,
    ),
  ];
}
