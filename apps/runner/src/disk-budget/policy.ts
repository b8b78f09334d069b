import type { RunnerConfig } from '../config.ts';

const mib = 2 ** 20;

/** The settings about the disk. */
export type DiskPolicy = Pick<RunnerConfig, 'diskReserveMb' | 'diskReservePercent' | 'diskOvercommit'>;

/** The part of the host's disk that no sandbox gets. */
export function reserveOf({ diskReserveMb, diskReservePercent }: DiskPolicy, totalBytes: number): number {
  return Math.max(diskReserveMb * mib, (totalBytes * diskReservePercent) / 100);
}

/** Bytes that a sandbox with a disk of this size can always write, whatever others do. */
export function promiseTo({ diskOvercommit }: DiskPolicy, diskMb: number): number {
  return (diskMb * mib) / diskOvercommit;
}

/** Growth of a sandbox without a tenant: its first start and a rehearsed command write this much. */
export const spareGrowthBytes = 16 * mib;
