import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import {
  CustomSeriesSchema,
  LogEntrySchema,
  MetricPointSchema,
  MetricSchema,
  OperationTimeSchema,
} from '@soulbox/contract/runner';
import type { CustomSeries, LogEntry, Metric, MetricPoint, OperationTime } from '@soulbox/contract/runner';

export function logEntry(atMs: number, level: string, message: string, fields: Record<string, string> = {}): LogEntry {
  return create(LogEntrySchema, { timestamp: timestampFromMs(atMs), level, logger: 'envd', message, fields });
}

export function metric(atMs: number, cpuUsedPct: number): Metric {
  return create(MetricSchema, {
    timestamp: timestampFromMs(atMs),
    cpuCount: 2,
    cpuUsedPct,
    memoryWorkingSetBytes: 1000n,
    memoryCacheBytes: 200n,
    memoryLimitBytes: 4000n,
    diskUsedBytes: 5n,
    diskTotalBytes: 6n,
    networkSentBytes: 7n,
    cpuUsedSeconds: 1.5,
  });
}

export function metricPoint(atMs: number, cpuUsedPct: number): MetricPoint {
  return create(MetricPointSchema, {
    timestamp: timestampFromMs(atMs),
    samples: 60,
    cpuCount: 2,
    cpuUsedPct,
    memoryRssBytes: 300n,
    memoryWorkingSetBytes: 1000n,
    memoryLimitBytes: 4000n,
    networkSentBytes: 2n ** 40n,
  });
}

/** A series with a value for each second from 1000 on. */
export function customSeries(name: string, labels: Record<string, string>, ...values: number[]): CustomSeries {
  const timestamps = values.map((_, at) => timestampFromMs(1_000_000 + at * 1000));
  return create(CustomSeriesSchema, { name, type: 'gauge', help: 'Help.', labels, values, timestamps });
}

/** An operation of a call of the runner, with its phases in milliseconds. */
export function operationTime(operation: string, phases: Readonly<Record<string, number>>): OperationTime {
  const entries = Object.entries(phases).map(([name, durationMs]) => ({ name, durationMs }));
  const durationMs = entries.reduce((sum, phase) => sum + phase.durationMs, 1);
  return create(OperationTimeSchema, { operation, durationMs, phases: entries });
}
