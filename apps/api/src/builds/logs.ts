import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, unixMs } from '../http/schemas.ts';
import { buildParams, getOwnBuild } from '../lookup/build.ts';
import { level, limit, logEntrySchema, readLogs } from './log-entries.ts';

export function addBuildLogsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/templates/:templateID/builds/:buildID/logs',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['templates'],
        summary: 'Log of a build',
        params: buildParams,
        querystring: z.object({
          cursor: unixMs
            .optional()
            .describe('Unix milliseconds, inclusive. Default: the oldest entry, or now if `backward`.'),
          limit,
          direction: z
            .enum(['forward', 'backward'])
            .default('forward')
            .describe('`backward` returns the newest entries first.'),
          level,
          source: z.enum(['temporary', 'persistent']).optional().describe('Ignored: a build has only one log.'),
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
      return { logs: await readLogs(context, build.id, { ...query, level: query.level, cursor: query.cursor, order }) };
    },
  );
}
