const mbMax = 1024 * 1024 * 1024;

/** The limits that a team can have for itself, with the largest value; docs/limits.md lists them (a test compares the two). */
export const teamLimits = {
  sandboxes: { max: 100_000, help: 'Sandboxes that run at the same time.' },
  creates_per_second: { max: 10_000, help: 'Sandboxes created per second, as an average.' },
  creates_burst: { max: 100_000, help: 'Sandboxes created at once, after a pause.' },
  requests_per_second: { max: 1_000_000, help: 'Requests to the API per second, as an average.' },
  requests_burst: { max: 10_000_000, help: 'Requests to the API at once, after a pause.' },
  memory_mb: { max: mbMax, help: 'MiB of memory of the running sandboxes together.' },
  disk_mb: { max: mbMax, help: 'MiB that the disks of sandboxes and the snapshots use on the host.' },
  paused_memory_mb: { max: mbMax, help: 'MiB of saved memory of paused sandboxes.' },
  snapshots: { max: 100_000, help: 'Snapshots.' },
  templates: { max: 100_000, help: 'Templates.' },
  upload_mb: { max: mbMax, help: 'MiB of archives for template builds.' },
  storage_mb: { max: mbMax, help: 'MiB of snapshots, archives for builds and key-value data together.' },
  volumes: { max: 10_000, help: 'Volumes.' },
  volume_mb: { max: mbMax, help: 'MiB of the contents of all volumes together.' },
  buckets: { max: 10_000, help: 'Buckets.' },
  cpu_seconds_per_day: { max: 1_000_000_000, help: 'Seconds of CPU time of all sandboxes in a day (UTC).' },
  egress_mb_per_day: { max: mbMax, help: 'MiB that all sandboxes send to the outside in a day (UTC).' },
} as const satisfies Record<string, { readonly max: number; readonly help: string }>;

export type TeamLimitName = keyof typeof teamLimits;
export const teamLimitNames = Object.keys(teamLimits) as readonly TeamLimitName[];
