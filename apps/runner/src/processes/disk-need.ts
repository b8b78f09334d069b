import { tableBytes } from '@soulbox/isolation';
import { getDriver } from './sandbox-host.ts';
import type { SandboxHost } from './sandbox-host.ts';
import type { HostRecord } from '../registry/record.ts';
import { promiseTo, spareGrowthBytes } from '../disk-budget/policy.ts';
import { costOf, owedBytes, usedBytes } from '../disk-budget/shares.ts';
import type { Standing } from '../disk-budget/watched-disk.ts';

export interface DiskNeed {
  /** Room that the host must have. */
  readonly bytes: number;
  /** The first growth limit. It is a part of `bytes`. */
  readonly growthBytes: number;
}

/** What the disk budget needs to know about a sandbox. A sandbox without a tenant has a small promise. */
export function standingOf(host: Pick<SandboxHost, 'config'>, record: HostRecord | undefined): Standing {
  const isTenants = record?.tenant !== undefined;
  return {
    promisedBytes: isTenants ? promiseTo(host.config, record.diskMb) : spareGrowthBytes,
    isStopped: record?.waitsForRoom === true,
  };
}

/** Bytes for a new sandbox of a tenant. */
export function needOfNew(host: Pick<SandboxHost, 'config'>, diskMb: number): number {
  return tableBytes(diskMb) + costOf(promiseTo(host.config, diskMb));
}

/** Additional bytes for a spare that gets a tenant. Its own need was counted at its boot. */
export function needOfClaim(host: Pick<SandboxHost, 'config'>, diskMb: number): number {
  return costOf(Math.max(0, promiseTo(host.config, diskMb) - spareGrowthBytes));
}

/**
 * Need for a start of the sandbox. A kept disk has used some of its promise, and may owe the host more than a new one.
 */
export async function diskNeedOf(host: SandboxHost, record: HostRecord): Promise<DiskNeed> {
  const { promisedBytes } = standingOf(host, record);
  if (record.disk === 'new')
    return { bytes: tableBytes(record.diskMb) + costOf(promisedBytes), growthBytes: promisedBytes };
  const directory = host.store.directoryOf(record.sandboxId);
  const reading = await getDriver(host, record.driver).readKeptDisk(record.sandboxId, directory);
  const written = Math.max(0, usedBytes(reading) - reading.tableBytes);
  // A disk that has used all of its promise must still be able to start.
  const growthBytes = Math.min(reading.freeBytes, Math.max(promisedBytes - written, spareGrowthBytes));
  return { bytes: owedBytes(reading) + costOf(growthBytes), growthBytes };
}
