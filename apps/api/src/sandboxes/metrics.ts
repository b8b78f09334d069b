import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, sandboxParams } from '../http/schemas.ts';
import { callRunner } from '../runner/call.ts';
import { msFromTimestamp } from '../runner/sandbox-facts.ts';
import { getLive, withRow } from '../lookup/sandbox.ts';
import { readBeforeSeconds } from './metrics-history.ts';
import { metricSchema, unixSeconds } from './schemas.ts';
import { downsample } from './downsample.ts';
import { metricToWire } from './to-wire.ts';

/** Samples in one response; more are thinned out evenly. */
const samplesMax = 1000;

export function addMetricsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/:sandboxID/metrics',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['sandboxes'],
        summary: 'Metrics of a sandbox, oldest first',
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
      const startMs = start === undefined ? record.startedAt : start * 1000;
      // Includes the whole last second.
      const endMs = end === undefined ? context.clock.now() + 1000 : end * 1000 + 999;
      const span = { start: timestampFromMs(startMs), end: timestampFromMs(endMs) };
      const metrics = await withRow(context, record, async () => {
        const { series } = await callRunner((options) =>
          context.runner.getMetrics({ sandboxIds: [record.id], ...span }, options),
        );
        const samples = series.find((entry) => entry.sandboxId === record.id)?.metrics ?? [];
        const firstMs = samples[0] === undefined ? endMs : msFromTimestamp(samples[0].timestamp);
        return [...(await readBeforeSeconds(context, record.id, startMs, firstMs)), ...samples];
      });
      return downsample(metrics, samplesMax).map(metricToWire);
    },
  );
}
