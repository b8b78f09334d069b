import { teamLimitNames } from '@soulbox/contract';
import type { TeamLimitName } from '@soulbox/contract';
import type { ApiConfig } from '../config.ts';

/** Every limit of a team. Infinity: no limit. */
export type TeamLimits = Readonly<Record<TeamLimitName, number>>;

/** The limits of teams that have none of their own. */
export function defaultLimits(config: ApiConfig): TeamLimits {
  return {
    sandboxes: config.teamSandboxLimit,
    creates_per_second: zeroIsNone(config.teamCreateRate),
    creates_burst: config.teamCreateBurst,
    requests_per_second: zeroIsNone(config.teamRequestRate),
    requests_burst: config.teamRequestBurst,
    memory_mb: zeroIsNone(config.teamMemoryMb),
    disk_mb: config.teamDiskMb,
    paused_memory_mb: config.teamPausedMemoryMb,
    snapshots: config.teamSnapshotLimit,
    templates: config.teamTemplateLimit,
    upload_mb: config.teamBuildFilesMb,
    storage_mb: zeroIsNone(config.teamStorageMb),
    volumes: config.teamVolumeLimit,
    volume_mb: config.teamVolumeMb,
    buckets: config.teamBucketLimit,
    cpu_seconds_per_day: zeroIsNone(config.teamCpuSecondsPerDay),
    egress_mb_per_day: zeroIsNone(config.teamEgressMbPerDay),
  };
}

const zeroIsNone = (setting: number): number => (setting === 0 ? Infinity : setting);

/** The limits of a team with some of its own; null is no limit. Names that this version does not know are ignored. */
export function withOwn(defaults: TeamLimits, own: ReadonlyMap<string, number | null>): TeamLimits {
  if (own.size === 0) return defaults;
  const entries = teamLimitNames.map((name) => {
    const value = own.get(name);
    return [name, value === undefined ? defaults[name] : (value ?? Infinity)] as const;
  });
  return Object.fromEntries(entries) as TeamLimits;
}
