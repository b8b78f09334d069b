import { usageNames } from '../teams/usage.ts';
import type { Usage } from '../teams/usage.ts';
import type { MetricFamily } from '../meters/text-format.ts';

/** What the caller's team has of everything that has a limit, and the limits. */
export function teamFamilies(usage: Usage): MetricFamily[] {
  return (['used', 'limit'] as const).map((figure) => ({
    name: `soulbox_team_${figure}`,
    help: figure === 'used' ? 'What the team has.' : 'How much the team may have.',
    type: 'gauge',
    samples: usageNames.map((what) => ({ labels: { what }, value: usage[what][figure] })),
  }));
}
