import { buildLogLevels } from '@soulbox/storage';
import type { BuildLog, BuildLogQuery } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeSchema, timeToWire, unixMs } from '../http/schemas.ts';
import { buildStatusSchema } from '../templates/schemas.ts';
import { buildParams, getOwnBuild } from './find.ts';

const logEntrySchema = z
  .object({
    timestamp: timeSchema,
    message: z.string(),
    level: z.enum(buildLogLevels),
    step: z.string().optional().describe('`base`, `finalize` or the number of the step, from 1 on.'),
  })
  .meta({ id: 'BuildLogEntry' });

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
      .describe('Why it failed, with the last entries of the log of that step.'),
  })
  .meta({ id: 'TemplateBuildInfo' });

/** Entries of its own log that the reason of a failed build carries. */
const maxLastWords = 20;

const limit = z.coerce.number().int().min(0).max(100).default(100);
const level = z.enum(buildLogLevels).optional().describe('The least level.');

export function addBuildStatusRoutes(app: ApiApp, context: ApiContext): void {
  const readLogs = async (buildId: string, query: Partial<BuildLogQuery> & { limit: number }) => {
    const all = { level: undefined, order: 'asc', cursor: undefined, offset: 0 } as const;
    return (await context.records.builds.listLogs(buildId, { ...all, ...query })).map(logToWire);
  };

  /** What the step that failed told at last, oldest first. */
  const readLastWords = async (buildId: string, step: string) => {
    const newest = await readLogs(buildId, { limit: 100, order: 'desc' });
    return newest
      .filter((entry) => (entry.step ?? '') === step)
      .slice(0, maxLastWords)
      .toReversed();
  };

  app.get(
    '/templates/:templateID/builds/:buildID/status',
    {
      schema: {
        tags: ['templates'],
        summary: 'How a build goes, with what its log has got since',
        params: buildParams,
        querystring: z.object({
          logsOffset: z.coerce.number().int().min(0).default(0).describe('Entries that the caller has already.'),
          limit,
          level,
        }),
        response: { 200: statusSchema, ...errors(400, 404) },
      },
    },
    async (request) => {
      // The status first: an entry that comes between the two is shown once more than needed, never missed at the end.
      const { build } = await getOwnBuild(context, callerOf(request).team, request.params);
      const { logsOffset: offset, ...query } = request.query;
      return {
        templateID: build.templateId,
        buildID: build.id,
        status: build.status,
        logs: [],
        logEntries: await readLogs(build.id, { offset, limit: query.limit, level: query.level }),
        ...(build.reason === undefined
          ? {}
          : {
              reason: { ...reasonToWire(build.reason), logEntries: await readLastWords(build.id, build.reason.step) },
            }),
      };
    },
  );

  app.get(
    '/templates/:templateID/builds/:buildID/logs',
    {
      schema: {
        tags: ['templates'],
        summary: 'Log of a build',
        params: buildParams,
        querystring: z.object({
          cursor: unixMs.optional().describe('Unix milliseconds, inclusive. Absent: the oldest, or now when backward.'),
          limit,
          direction: z.enum(['forward', 'backward']).default('forward').describe('Backward gives the newest first.'),
          level,
          source: z.enum(['temporary', 'persistent']).optional().describe('Ignored: there is one log.'),
        }),
        response: {
          200: z.object({ logs: z.array(logEntrySchema) }).meta({ id: 'TemplateBuildLogsResponse' }),
          ...errors(400, 404),
        },
      },
    },
    async (request) => {
      const { build } = await getOwnBuild(context, callerOf(request).team, request.params);
      const { direction, source: _, ...query } = request.query;
      const order = direction === 'forward' ? 'asc' : 'desc';
      return { logs: await readLogs(build.id, { ...query, level: query.level, cursor: query.cursor, order }) };
    },
  );
}

const stepToWire = (step: string): { step?: string } => (step === '' ? {} : { step });

function reasonToWire({ message, step }: { message: string; step: string }) {
  return { message, ...stepToWire(step) };
}

function logToWire({ at, message, level: logLevel, step }: BuildLog): z.infer<typeof logEntrySchema> {
  return { timestamp: timeToWire(at), message, level: logLevel, ...stepToWire(step) };
}
