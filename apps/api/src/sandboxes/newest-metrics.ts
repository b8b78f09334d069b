import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { Caller } from '../auth/caller.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { callRunner } from '../runner/call.ts';
import { findOwn, isLive } from '../lookup/sandbox.ts';
import { metricSchema } from './schemas.ts';
import { metricToWire } from './to-wire.ts';

/** Sandboxes in one request (E2B's limit). */
const idsMax = 100;

export function addNewestMetricsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/sandboxes/metrics',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Latest metrics of several sandboxes',
        querystring: z.object({
          sandbox_ids: z
            .string()
            .min(1)
            .max(idsMax * 70)
            .transform((text) => text.split(','))
            .pipe(z.array(z.string()).max(idsMax))
            .describe(`Ids separated by commas, at most ${idsMax}. The response omits unknown ones.`),
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
