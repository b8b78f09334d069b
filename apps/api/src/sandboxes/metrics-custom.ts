import type { CustomSeries } from '@soulbox/contract/runner';
import type { SandboxRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { getLive, withRow } from '../lookup/sandbox.ts';
import { callRunner } from '../runner/call.ts';
import { msFromTimestamp } from '../runner/sandbox-facts.ts';
import { unixSeconds } from './schemas.ts';

/** JSON has no words for these three numbers. Prometheus writes them so. */
const valueSchema = z.union([z.number(), z.enum(['NaN', '+Inf', '-Inf'])]);

const seriesSchema = z
  .object({
    name: z.string(),
    type: z.enum(['counter', 'gauge', 'histogram', 'summary', 'untyped']).catch('untyped'),
    help: z.string(),
    labels: z.record(z.string(), z.string()),
    points: z
      .array(z.object({ timestampUnix: z.number().describe('Seconds'), value: valueSchema }))
      .describe('Oldest first. Every 10 s, for half an hour.'),
  })
  .meta({ id: 'SandboxCustomMetric' });

const reportSchema = z
  .object({
    series: z.array(seriesSchema),
    rejected: z.int().describe('Lines of the last read that were not valid or beyond a limit.'),
    faults: z.array(z.string()).describe('What was wrong with some of them.'),
  })
  .meta({ id: 'SandboxCustomMetrics' });

export function addCustomMetricsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID/metrics/custom',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Metrics that programs in a sandbox report about themselves',
        description:
          'Programs write Prometheus text to `/run/soulbox/metrics/NAME.prom` in the sandbox, or the port that serves it to `NAME.port`. ' +
          'A running sandbox is read at each request, at most once a second. SoulBox extension.',
        params: sandboxParams,
        querystring: z.object({
          name: z.string().max(128).optional().describe('Only metrics of this name.'),
          start: unixSeconds.optional().describe('Unix seconds. Without `start` and `end`: only the newest values.'),
          end: unixSeconds.optional().describe('Unix seconds. Default: now.'),
        }),
        response: {
          200: reportSchema,
          ...errors(400, 404, 503),
        },
      },
    },
    async (request) => {
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      const { name, start, end } = request.query;
      const isNewest = start === undefined && end === undefined;
      const span = { fromMs: (start ?? 0) * 1000, toMs: end === undefined ? Infinity : end * 1000 + 999 };
      return await readCustom(context, record, { name, span: isNewest ? undefined : span });
    },
  );
}

interface Wanted {
  /** Undefined: all. */
  readonly name?: string | undefined;
  /** Undefined: the newest values. */
  readonly span?: Span | undefined;
}

interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

export async function readCustom(
  context: ApiContext,
  record: SandboxRecord,
  { name, span }: Wanted = {},
): Promise<z.infer<typeof reportSchema>> {
  const { series, rejected, faults } = await withRow(context, record, () =>
    callRunner((options) => context.runner.getCustomMetrics({ sandboxId: record.id }, options)),
  );
  const chosen = series.filter((one) => name === undefined || one.name === name).map((one) => seriesToWire(one, span));
  return { series: chosen.filter(({ points }) => points.length > 0), rejected, faults };
}

function seriesToWire(
  { name, type, help, labels, timestamps, values }: CustomSeries,
  span: Span | undefined,
): z.infer<typeof seriesSchema> {
  const all = values.map((value, at) => ({ atMs: msFromTimestamp(timestamps[at]), value }));
  const chosen =
    span === undefined ? all.slice(-1) : all.filter(({ atMs }) => atMs >= span.fromMs && atMs <= span.toMs);
  const points = chosen.map(({ atMs, value }) => ({ timestampUnix: atMs / 1000, value: valueToWire(value) }));
  return { name, type: seriesSchema.shape.type.parse(type), help, labels, points };
}

function valueToWire(value: number): z.infer<typeof valueSchema> {
  if (Number.isNaN(value)) return 'NaN';
  return Number.isFinite(value) ? value : value > 0 ? '+Inf' : '-Inf';
}
