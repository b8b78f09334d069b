import type { Metric } from '@soulbox/contract/runner';
import type { MetricFamily } from '../meters/text-format.ts';

export interface MeasuredSandbox {
  readonly id: string;
  /** The template's name, or its id when it has no name. */
  readonly template: string;
  /** Undefined in the first second of a sandbox, before its first measurement. */
  readonly metric: Metric | undefined;
}

type Figure = readonly [
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  read: (metric: Metric) => number | bigint,
];

/** spec/runner, message Metric. Counters start at 0 with the sandbox. */
const figures: readonly Figure[] = [
  ['cpu_count', 'gauge', 'CPUs that the sandbox may use.', (metric) => metric.cpuCount],
  ['cpu_used_percent', 'gauge', 'CPU in use; 100 is one whole CPU.', (metric) => metric.cpuUsedPct],
  ['cpu_seconds_total', 'counter', 'CPU time used.', (metric) => metric.cpuUsedSeconds],
  ['memory_rss_bytes', 'gauge', 'Anonymous memory.', (metric) => metric.memoryRssBytes],
  ['memory_cache_bytes', 'gauge', 'File cache.', (metric) => metric.memoryCacheBytes],
  ['memory_swap_bytes', 'gauge', 'Swapped-out memory.', (metric) => metric.memorySwapBytes],
  [
    'memory_working_set_bytes',
    'gauge',
    'Memory in use, without reclaimable cache.',
    (metric) => metric.memoryWorkingSetBytes,
  ],
  ['memory_limit_bytes', 'gauge', 'Memory limit.', (metric) => metric.memoryLimitBytes],
  ['disk_used_bytes', 'gauge', 'Disk space in use.', (metric) => metric.diskUsedBytes],
  ['disk_total_bytes', 'gauge', 'Size of the disk.', (metric) => metric.diskTotalBytes],
  ['disk_read_bytes_total', 'counter', 'Bytes read from the disk.', (metric) => metric.diskReadBytes],
  ['disk_written_bytes_total', 'counter', 'Bytes written to the disk.', (metric) => metric.diskWrittenBytes],
  ['network_received_bytes_total', 'counter', 'Bytes received.', (metric) => metric.networkReceivedBytes],
  ['network_sent_bytes_total', 'counter', 'Bytes sent.', (metric) => metric.networkSentBytes],
  ['network_received_packets_total', 'counter', 'Packets received.', (metric) => metric.networkReceivedPackets],
  ['network_sent_packets_total', 'counter', 'Packets sent.', (metric) => metric.networkSentPackets],
];

export function sandboxFamilies(sandboxes: readonly MeasuredSandbox[]): MetricFamily[] {
  return figures.map(([name, type, help, read]) => ({
    name: `soulbox_sandbox_${name}`,
    help,
    type,
    samples: sandboxes.flatMap(({ id, template, metric }) =>
      metric === undefined ? [] : [{ labels: { sandbox_id: id, template }, value: Number(read(metric)) }],
    ),
  }));
}
