import type { RunnerConfig } from '../config.ts';

const mib = 2 ** 20;

/** As the settings have it. */
export type DiskPolicy = Pick<RunnerConfig, 'diskReserveMb' | 'diskReservePercent' | 'diskOvercommit'>;

/** What of a disk of the host no sandbox ever gets. */
export function reserveOf({ diskReserveMb, diskReservePercent }: DiskPolicy, totalBytes: number): number {
  return Math.max(diskReserveMb * mib, (totalBytes * diskReservePercent) / 100);
}

/** What a sandbox with a disk of this size can write whatever others do. */
export function promiseTo({ diskOvercommit }: DiskPolicy, diskMb: number): number {
  return (diskMb * mib) / diskOvercommit;
}

/** Of a sandbox that is nobody's yet: what its first start writes, and a rehearsed command. */
export const spareGrowthBytes = 16 * mib;
