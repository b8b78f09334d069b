import type { GetHostDiskResponse } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import type { MetricFamily } from '../meters/text-format.ts';

type Figure = readonly [name: string, help: string, read: (disk: GetHostDiskResponse) => number | bigint];

/** spec/runner, message GetHostDiskResponse. */
const figures: readonly Figure[] = [
  ['disk_total_bytes', 'Size of the disk of the data folder.', (disk) => disk.totalBytes],
  ['disk_free_bytes', 'Free bytes on that disk.', (disk) => disk.freeBytes],
  ['disk_reserve_bytes', 'Bytes of that disk that sandboxes can never use.', (disk) => disk.reserveBytes],
  [
    'disk_committed_bytes',
    'Bytes of that disk that are promised to sandboxes but not used yet.',
    (disk) => disk.committedBytes,
  ],
  [
    'disk_told_bytes',
    'Total size of the disks of running sandboxes, as the sandboxes see it.',
    (disk) => disk.toldBytes,
  ],
  ['disk_overcommit_ratio', 'Ratio of that total size to the space that sandboxes can use.', told],
  ['disk_overcommit_limit', 'Configured overcommit ratio (`SOULBOX_DISK_OVERCOMMIT`).', (disk) => disk.overcommit],
  ['disks', 'Number of disks of running sandboxes, including spares.', (disk) => disk.disks],
  ['sandboxes_stopped', 'Sandboxes frozen until the disk has space.', (disk) => disk.stopped],
];

function told({ toldBytes, totalBytes, reserveBytes }: GetHostDiskResponse): number {
  return Number(toldBytes) / Math.max(1, Number(totalBytes - reserveBytes));
}

export async function hostDiskFamilies(context: ApiContext): Promise<MetricFamily[]> {
  const disk = await callRunner((options) => context.runner.getHostDisk({}, options));
  return figures.map(([name, help, read]) => ({
    ...{ name: `soulbox_host_${name}`, help, type: 'gauge' },
    samples: [{ labels: {}, value: Number(read(disk)) }],
  }));
}
