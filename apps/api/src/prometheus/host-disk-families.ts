import type { GetHostDiskResponse } from '@soulbox/contract/runner';
import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import type { MetricFamily } from '../meters/text-format.ts';

type Figure = readonly [name: string, help: string, read: (disk: GetHostDiskResponse) => number | bigint];

/** spec/runner, message GetHostDiskResponse. */
const figures: readonly Figure[] = [
  ['disk_total_bytes', 'Size of the disk of the data folder.', (disk) => disk.totalBytes],
  ['disk_free_bytes', 'What is free on it.', (disk) => disk.freeBytes],
  ['disk_reserve_bytes', 'What of it sandboxes never get.', (disk) => disk.reserveBytes],
  ['disk_committed_bytes', 'What it must still be able to give to sandboxes.', (disk) => disk.committedBytes],
  ['disk_told_bytes', 'Sizes of the disks of running sandboxes, as they see them.', (disk) => disk.toldBytes],
  ['disk_overcommit_ratio', 'Told sizes as a multiple of what sandboxes can have.', told],
  ['disk_overcommit_limit', 'How many times more may be told than is promised.', (disk) => disk.overcommit],
  ['disks', 'Disks of running sandboxes, spares included.', (disk) => disk.disks],
  ['sandboxes_stopped', 'Sandboxes that stand still until there is room.', (disk) => disk.stopped],
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
