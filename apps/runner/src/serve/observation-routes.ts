import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import { LogEntrySchema } from '@soulbox/contract/runner';
import type { GetMetricsRequest, LogEntry, RunnerService } from '@soulbox/contract/runner';
import type { Metric, SandboxMetrics } from '../metrics/sandbox-metrics.ts';
import type { LogLine } from '../processes/log-folder.ts';
import type { Answers } from './answer.ts';
import { eventToMessage } from './event-to-message.ts';
import { metricToMessage, pointToMessage, seriesToMessage } from './metric-to-message.ts';
import type { ServeContext } from './serve-context.ts';

/** Serves the metrics, logs and events of sandboxes. */
export function createObservationRoutes(
  { customMetrics, events, logBook, metrics, stopping, table }: ServeContext,
  { answer }: Answers,
): Partial<ServiceImpl<typeof RunnerService>> {
  return {
    getMetrics: answer(async (request) =>
      Promise.resolve({
        series: request.sandboxIds.map((sandboxId) => ({
          sandboxId,
          metrics: samplesOf(metrics, sandboxId, request).map(metricToMessage),
        })),
      }),
    ),

    getMetricPoints: answer(async ({ sandboxId, start, end, stepSeconds }) => {
      const span = spanOf({ start, end });
      const points = await metrics.points(sandboxId, span.fromMs, span.toMs, stepMsOf(stepSeconds));
      const cpuCount = table.find(sandboxId)?.record.cpuCount ?? 0;
      return { points: points.map((point) => pointToMessage(point, cpuCount)) };
    }),

    getCustomMetrics: answer(async ({ sandboxId }) => {
      const { series, rejected, faults } = await customMetrics.read(sandboxId);
      return { series: series.map(seriesToMessage), rejected, faults: [...faults] };
    }),

    listCustomMetrics: answer(async ({ sandboxIds }) =>
      Promise.resolve({
        sandboxes: sandboxIds.map((sandboxId) => {
          const { series } = customMetrics.known(sandboxId);
          const newest = series.map((one) => seriesToMessage({ ...one, values: one.values.slice(-1) }));
          return { sandboxId, series: newest };
        }),
      }),
    ),

    getLogs: answer(async ({ sandboxId, after }) => {
      if (after === undefined) return { entries: (await logBook.read(sandboxId)).map((line) => lineToMessage(line)) };
      const arrived = await logBook.readAfter(sandboxId, after);
      return { entries: arrived.map(({ line, cursor }) => lineToMessage(line, cursor)) };
    }),

    async *watchEvents(_request: unknown, handler: HandlerContext) {
      const present = table.tenants().map(({ record }) => ({ kind: 'created' as const, record }));
      const over = AbortSignal.any([handler.signal, stopping]);
      for await (const event of events.watch([...present, { kind: 'listed' }], over)) yield eventToMessage(event);
    },
  };
}

function lineToMessage({ seq: _, timestamp, ...rest }: LogLine, cursor = ''): LogEntry {
  return create(LogEntrySchema, { ...rest, cursor, timestamp: timestampFromDate(new Date(timestamp)) });
}

/** The newest sample only, if the request names no time. */
function samplesOf(metrics: SandboxMetrics, sandboxId: string, { start, end }: GetMetricsRequest): Metric[] {
  if (start === undefined && end === undefined) {
    const latest = metrics.latest(sandboxId);
    return latest === undefined ? [] : [latest];
  }
  const span = spanOf({ start, end });
  return metrics.range(sandboxId, span.fromMs, span.toMs);
}

function spanOf({ start, end }: { start: Timestamp | undefined; end: Timestamp | undefined }): {
  fromMs: number;
  toMs: number;
} {
  return {
    fromMs: start === undefined ? 0 : timestampMs(start),
    toMs: end === undefined ? Number.MAX_SAFE_INTEGER : timestampMs(end),
  };
}

function stepMsOf(stepSeconds: number): number {
  if (stepSeconds >= 1 && stepSeconds <= 86_400) return stepSeconds * 1000;
  throw new SoulBoxError('bad_request', `A step must be 1 to 86400 seconds, not ${stepSeconds}.`);
}
