import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Metric } from '@soulbox/contract/runner';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams, timeToWire } from '../http/schemas.ts';
import { callRunner } from '../runner/call.ts';
import { msFromTimestamp } from '../runner/sandbox-facts.ts';
import { findOwn, getLive, isLive, withRow } from '../lookup/sandbox.ts';
import { metricSchema } from './schemas.ts';
import { downsample } from './downsample.ts';

/** Samples in one response; more are thinned out evenly. */
const samplesMax = 1000;
/** Sandboxes in one request (E2B's limit). */
const idsMax = 100;

const unixSeconds = z.coerce.number().int().min(0).max(253_402_300_799);

export function addMetricRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID/metrics',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Measurements of a sandbox, oldest first',
        params: sandboxParams,
        querystring: z.object({
          start: unixSeconds.optional().describe('Unix seconds. Default: the start of the sandbox.'),
          end: unixSeconds.optional().describe('Unix seconds. Default: now.'),
        }),
        response: { 200: z.array(metricSchema), ...errors(400, 404, 503) },
      },
    },
    async (request) => {
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      const { start, end } = request.query;
      const span = {
        start: timestampFromMs(start === undefined ? record.startedAt : start * 1000),
        // Includes the whole last second.
        end: timestampFromMs(end === undefined ? context.clock.now() + 1000 : end * 1000 + 999),
      };
      const { series } = await withRow(context, record, () =>
        callRunner((options) => context.runner.getMetrics({ sandboxIds: [record.id], ...span }, options)),
      );
      const own = series.find((entry) => entry.sandboxId === record.id);
      return downsample(own?.metrics ?? [], samplesMax).map(metricToWire);
    },
  );

  app.get(
    '/sandboxes/metrics',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'The newest measurement of several sandboxes',
        querystring: z.object({
          sandbox_ids: z
            .string()
            .min(1)
            .max(idsMax * 70)
            .transform((text) => text.split(','))
            .pipe(z.array(z.string()).max(idsMax))
            .describe(`Comma list, at most ${idsMax}. Unknown ones are left out of the answer.`),
        }),
        response: {
          200: z.object({ sandboxes: z.record(z.string(), metricSchema) }).meta({ id: 'SandboxesWithMetrics' }),
          ...errors(400, 503),
        },
      },
    },
    async (request) => {
      const sandboxIds = await ownIds(context, callerOf(request), request.query.sandbox_ids);
      if (sandboxIds.length === 0) return { sandboxes: {} };
      const { series } = await callRunner((options) => context.runner.getMetrics({ sandboxIds }, options));
      const newest = series.flatMap(({ sandboxId, metrics }) => {
        const last = metrics.at(-1);
        return last === undefined || !sandboxIds.includes(sandboxId) ? [] : [[sandboxId, metricToWire(last)] as const];
      });
      return { sandboxes: Object.fromEntries(newest) };
    },
  );
}

/** The ids of the caller's live sandboxes. */
async function ownIds(context: ApiContext, caller: Caller, texts: readonly string[]): Promise<string[]> {
  const records = await Promise.all(texts.map((text) => findOwn(context, caller, text)));
  return [
    ...new Set(records.flatMap((record) => (record !== undefined && isLive(record, context) ? [record.id] : []))),
  ];
}

function metricToWire(metric: Metric): z.infer<typeof metricSchema> {
  const ms = msFromTimestamp(metric.timestamp);
  return {
    timestamp: timeToWire(ms),
    timestampUnix: Math.floor(ms / 1000),
    cpuCount: metric.cpuCount,
    cpuUsedPct: metric.cpuUsedPct,
    memUsed: Number(metric.memoryWorkingSetBytes),
    memTotal: Number(metric.memoryLimitBytes),
    memCache: Number(metric.memoryCacheBytes),
    diskUsed: Number(metric.diskUsedBytes),
    diskTotal: Number(metric.diskTotalBytes),
  };
}
