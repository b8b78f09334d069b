import { create } from '@bufbuild/protobuf';
import { timestampFromDate, timestampMs } from '@bufbuild/protobuf/wkt';
import type { HandlerContext, ServiceImpl } from '@connectrpc/connect';
import { LogEntrySchema } from '@soulbox/contract/runner';
import type { GetMetricsRequest, RunnerService } from '@soulbox/contract/runner';
import type { Metric, SandboxMetrics } from '../metrics/sandbox-metrics.ts';
import type { Answers } from './answer.ts';
import { eventToMessage } from './event-to-message.ts';
import { metricToMessage } from './metric-to-message.ts';
import type { ServeContext } from './serve-context.ts';

/** Serves the metrics, logs and events of sandboxes. */
export function createObservationRoutes(
  { events, logBook, metrics, stopping, table }: ServeContext,
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

    getLogs: answer(async (request) => {
      const lines = await logBook.read(request.sandboxId);
      return {
        entries: lines.map(({ timestamp, ...rest }) =>
          create(LogEntrySchema, { ...rest, timestamp: timestampFromDate(new Date(timestamp)) }),
        ),
      };
    }),

    async *watchEvents(_request: unknown, handler: HandlerContext) {
      const present = table.tenants().map(({ record }) => ({ kind: 'created' as const, record }));
      const over = AbortSignal.any([handler.signal, stopping]);
      for await (const event of events.watch([...present, { kind: 'listed' }], over)) yield eventToMessage(event);
    },
  };
}

/** The newest sample only, if the request names no time. */
function samplesOf(metrics: SandboxMetrics, sandboxId: string, { start, end }: GetMetricsRequest): Metric[] {
  if (start === undefined && end === undefined) {
    const latest = metrics.latest(sandboxId);
    return latest === undefined ? [] : [latest];
  }
  const fromMs = start === undefined ? 0 : timestampMs(start);
  const toMs = end === undefined ? Number.MAX_SAFE_INTEGER : timestampMs(end);
  return metrics.range(sandboxId, fromMs, toMs);
}
