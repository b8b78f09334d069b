import { readFileSync } from 'node:fs';
import { stat, writeFile } from 'node:fs/promises';
import type { SandboxLayout } from './layout.ts';

/** /sys/block counts in sectors of 512 bytes whatever the device (Documentation/block/stat.rst). */
const sectorBytes = 512;
const statField = { sectorsRead: 2, sectorsWritten: 6 } as const;

export interface DiskTraffic {
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
}

/** Notes the loop device, and where its counters stand: it keeps them when it changes its file. */
export async function writeDiskOrigin(layout: SandboxLayout): Promise<void> {
  const device = deviceName((await stat(layout.disk)).dev);
  const { diskReadBytes, diskWrittenBytes } = readCounters(device);
  await writeFile(layout.diskOrigin, `${device} ${diskReadBytes} ${diskWrittenBytes}`, { mode: 0o600 });
}

/** The loop device of the sandbox as `major:minor`; undefined before it has one. */
export function findDiskDevice(layout: SandboxLayout): string | undefined {
  try {
    return readFileSync(layout.diskOrigin, 'latin1').split(' ')[0];
  } catch {
    return undefined;
  }
}

/** Bytes since the sandbox began. Synchronous: two small reads that never wait. */
export function readDiskTraffic(layout: SandboxLayout): DiskTraffic {
  const [device = '', read, written] = readFileSync(layout.diskOrigin, 'latin1').split(' ');
  const now = readCounters(device);
  return {
    diskReadBytes: now.diskReadBytes - Number(read),
    diskWrittenBytes: now.diskWrittenBytes - Number(written),
  };
}

function readCounters(device: string): DiskTraffic {
  const fields = readFileSync(`/sys/dev/block/${device}/stat`, 'latin1').trim().split(/\s+/).map(Number);
  return {
    diskReadBytes: (fields[statField.sectorsRead] ?? 0) * sectorBytes,
    diskWrittenBytes: (fields[statField.sectorsWritten] ?? 0) * sectorBytes,
  };
}

/** `major:minor` of a device number as Linux packs it for user space: minor in bits 0-7 and 20-31, major between. */
function deviceName(device: number): string {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return `${major}:${minor}`;
}
