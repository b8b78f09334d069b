import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { MetricSchema } from '@soulbox/contract/runner';
import type { Metric as MetricMessage } from '@soulbox/contract/runner';
import type { Metric } from '../metrics/sandbox-metrics.ts';

/** All other figures are whole numbers on the wire. */
export function metricToMessage({ atMs, cpuCount, cpuUsedPct, cpuUsedSeconds, ...counts }: Metric): MetricMessage {
  const whole = Object.fromEntries(Object.entries(counts).map(([name, value]) => [name, BigInt(Math.round(value))]));
  return create(MetricSchema, { ...whole, timestamp: timestampFromMs(atMs), cpuCount, cpuUsedPct, cpuUsedSeconds });
}
