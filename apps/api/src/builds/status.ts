import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { buildStatusSchema } from '../templates/schemas.ts';
import { buildParams, getOwnBuild } from '../lookup/build.ts';
import { level, limit, logEntrySchema, readLogs, stepToWire } from './log-entries.ts';

const statusSchema = z
  .object({
    templateID: z.string(),
    buildID: z.string(),
    status: buildStatusSchema,
    logs: z.array(z.string()).describe('Deprecated; always empty.'),
    logEntries: z.array(logEntrySchema).describe('Oldest first.'),
    reason: z
      .object({ message: z.string(), step: z.string().optional(), logEntries: z.array(logEntrySchema) })
      .optional()
      .describe('Why the build failed, with the last log entries of that step.'),
  })
  .meta({ id: 'TemplateBuildInfo' });

/** Log entries that the reason of a failed build contains. */
const maxLastWords = 20;

export function addBuildStatusRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/templates/:templateID/builds/:buildID/status',
    {
      schema: {
        tags: ['templates'],
        summary: 'State of a build, with new log entries',
        params: buildParams,
        querystring: z.object({
          logsOffset: z.coerce
            .number()
            .int()
            .min(0)
            .default(0)
            .describe('Number of entries that the caller already has.'),
          limit,
          level,
        }),
        response: { 200: statusSchema, ...errors(400, 404) },
      },
    },
    async (request) => {
      // The status is read first: an entry between the two reads is then shown twice at worst, and never missed at the
      // end.
      const { build } = await getOwnBuild(context, callerOf(request).team, request.params);
      const { logsOffset: offset, ...query } = request.query;
      return {
        templateID: build.templateId,
        buildID: build.id,
        status: build.status,
        logs: [],
        logEntries: await readLogs(context, build.id, { offset, limit: query.limit, level: query.level }),
        ...(build.reason === undefined
          ? {}
          : {
              reason: {
                ...reasonToWire(build.reason),
                logEntries: await readLastWords(context, build.id, build.reason.step),
              },
            }),
      };
    },
  );
}

function reasonToWire({ message, step }: { message: string; step: string }) {
  return { message, ...stepToWire(step) };
}

/** The last log entries of the failed step, oldest first. */
async function readLastWords(context: ApiContext, buildId: string, step: string) {
  const newest = await readLogs(context, buildId, { limit: 100, order: 'desc' });
  return newest
    .filter((entry) => (entry.step ?? '') === step)
    .slice(0, maxLastWords)
    .toReversed();
}
