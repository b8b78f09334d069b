import { SoulBoxError } from '@soulbox/base';
import type { TeamUsage } from './team-usage.ts';

/** A team's limits from the control plane, in bytes. */
export type TeamLimits = Readonly<Record<keyof TeamUsage, number>>;

const words = {
  diskBytes: 'its sandbox disks and snapshots use',
  pausedMemoryBytes: 'the saved memory of its paused sandboxes uses',
} as const satisfies Record<keyof TeamUsage, string>;

const mib = 1024 * 1024;

/** Throws `limit_exceeded` with the name of the limit when the team has reached it. */
export function checkTeamLimit(usage: TeamUsage, limits: TeamLimits, name: keyof TeamUsage): void {
  if (usage[name] < limits[name]) return;
  const [usedMb, limitMb] = [usage[name], limits[name]].map((bytes) => Math.round(bytes / mib));
  throw new SoulBoxError(
    'limit_exceeded',
    `The team has reached its limit: ${words[name]} ${usedMb} MiB of the allowed ${limitMb} MiB. Delete sandboxes or snapshots.`,
  );
}
