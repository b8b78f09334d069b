import { usageNames } from '../teams/usage.ts';
import type { Usage } from '../teams/usage.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** The usage and the limits of the caller's team. */
export function teamFamilies(usage: Usage): MetricFamily[] {
  return (['used', 'limit'] as const).map((figure) => ({
    name: `soulbox_team_${figure}`,
    help: figure === 'used' ? 'Usage of the team.' : 'Limits of the team. Absent: no limit.',
    type: 'gauge',
    samples: usageNames
      .map((what) => ({ labels: { what }, value: usage[what][figure] }))
      .filter(({ value }) => value !== Infinity),
  }));
}
