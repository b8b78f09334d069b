import { readFileSync, statSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import type { SandboxLayout } from './layout.ts';

/** /sys/block counts in sectors of 512 bytes whatever the device (Documentation/block/stat.rst). */
const sectorBytes = 512;
const statField = { sectorsRead: 2, sectorsWritten: 6 } as const;

export interface DiskTraffic {
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
}

/** Notes where the counters stand: a loop device keeps them when it changes its file. */
export async function writeDiskOrigin(layout: SandboxLayout): Promise<void> {
  const { diskReadBytes, diskWrittenBytes } = readCounters(layout.disk);
  await writeFile(layout.diskOrigin, `${diskReadBytes} ${diskWrittenBytes}`, { mode: 0o600 });
}

/** Bytes since the sandbox began. Synchronous: two reads and a stat that never wait. */
export function readDiskTraffic(layout: SandboxLayout): DiskTraffic {
  const [read = 0, written = 0] = readFileSync(layout.diskOrigin, 'latin1').split(' ').map(Number);
  const now = readCounters(layout.disk);
  return { diskReadBytes: now.diskReadBytes - read, diskWrittenBytes: now.diskWrittenBytes - written };
}

function readCounters(mountPoint: string): DiskTraffic {
  const device = deviceName(statSync(mountPoint).dev);
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
