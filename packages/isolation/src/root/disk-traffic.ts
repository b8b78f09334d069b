import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import type { ReadText } from '@soulbox/linux/held-files';
import { readOnce } from '@soulbox/linux/held-files';
import { parseMountInfo } from '../cgroup/mounts.ts';
import type { RootLayout } from './layout.ts';
import { diskFolders } from './layout.ts';

/** /sys/block counts in sectors of 512 bytes for every device (Documentation/block/stat.rst). */
const sectorBytes = 512;
const statField = { sectorsRead: 2, sectorsWritten: 6 } as const;

export interface DiskTraffic {
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
}

/**
 * Records the loop device and the current values of its counters: the device keeps them when it gets another file. The
 * device is read from the mounts of `initPid`, before any code of a tenant has run, because the host does not have the
 * mount.
 */
export async function writeDiskOrigin(layout: RootLayout, initPid: number): Promise<void> {
  const mounts = parseMountInfo(await readFile(`/proc/${initPid}/mountinfo`, 'utf8'));
  const device = mounts.find(({ root }) => root === `/${diskFolders.run}`)?.device;
  if (device === undefined) throw new SoulBoxError('sandbox_start_failed', 'The disk of the sandbox is not mounted.');
  const { diskReadBytes, diskWrittenBytes } = readCounters(device);
  await writeFile(layout.diskOrigin, `${device} ${diskReadBytes} ${diskWrittenBytes}`, { mode: 0o600 });
}

/** The loop device of the sandbox as `major:minor`; undefined before it has one. */
export function findDiskDevice(layout: Pick<RootLayout, 'diskOrigin'>): string | undefined {
  try {
    return readFileSync(layout.diskOrigin, 'utf8').split(' ')[0];
  } catch {
    return undefined;
  }
}

/** What `writeDiskOrigin` has recorded. */
export interface DiskOrigin extends DiskTraffic {
  readonly device: string;
}

/** Synchronous: a small read that never blocks. */
export function readDiskOrigin({ diskOrigin }: Pick<RootLayout, 'diskOrigin'>): DiskOrigin {
  const [device = '', read, written] = readFileSync(diskOrigin, 'utf8').split(' ');
  return { device, diskReadBytes: Number(read), diskWrittenBytes: Number(written) };
}

/** Bytes since the sandbox began. Synchronous: a small read that never blocks. */
export function readDiskTraffic(
  { device, diskReadBytes, diskWrittenBytes }: DiskOrigin,
  read: ReadText = readOnce,
): DiskTraffic {
  const now = readCounters(device, read);
  return {
    diskReadBytes: now.diskReadBytes - diskReadBytes,
    diskWrittenBytes: now.diskWrittenBytes - diskWrittenBytes,
  };
}

function readCounters(device: string, read: ReadText = readOnce): DiskTraffic {
  const fields = read(`/sys/dev/block/${device}/stat`).trim().split(/\s+/);
  return {
    diskReadBytes: Number(fields[statField.sectorsRead] ?? 0) * sectorBytes,
    diskWrittenBytes: Number(fields[statField.sectorsWritten] ?? 0) * sectorBytes,
  };
}
