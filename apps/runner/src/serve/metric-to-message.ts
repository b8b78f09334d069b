import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { CustomSeriesSchema, MetricPointSchema, MetricSchema } from '@soulbox/contract/runner';
import type {
  CustomSeries as CustomSeriesMessage,
  Metric as MetricMessage,
  MetricPoint,
} from '@soulbox/contract/runner';
import type { CustomSeries } from '../metrics/custom-metrics.ts';
import type { Point } from '../metrics/point.ts';
import type { Metric } from '../metrics/sandbox-metrics.ts';

/** All other figures are whole numbers on the wire. */
export function metricToMessage({ atMs, cpuCount, cpuUsedPct, cpuUsedSeconds, ...counts }: Metric): MetricMessage {
  const timestamp = timestampFromMs(atMs);
  return create(MetricSchema, { ...whole(counts), timestamp, cpuCount, cpuUsedPct, cpuUsedSeconds });
}

export function pointToMessage(point: Point, cpuCount: number): MetricPoint {
  const { atMs, samples, cpuUsedPct, cpuUsedPctMax, cpuUsedSeconds, ...counts } = point;
  const timestamp = timestampFromMs(atMs);
  const others = { timestamp, samples, cpuCount, cpuUsedPct, cpuUsedPctMax, cpuUsedSeconds };
  return create(MetricPointSchema, { ...whole(counts), ...others });
}

export function seriesToMessage({ values, ...series }: CustomSeries): CustomSeriesMessage {
  return create(CustomSeriesSchema, {
    ...series,
    timestamps: values.map(({ atMs }) => timestampFromMs(atMs)),
    values: values.map(({ value }) => value),
  });
}

function whole<K extends string>(counts: Readonly<Record<K, number>>): Record<K, bigint> {
  const entries = Object.entries<number>(counts).map(([name, value]) => [name, BigInt(Math.round(value))]);
  return Object.fromEntries(entries) as Record<K, bigint>;
}
