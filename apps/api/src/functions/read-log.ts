import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeToWire } from '../http/schemas.ts';
import { functionLogQuery, functionLogSchema, functionParams } from './schemas.ts';
import { getFunctions } from './service.ts';

export function addReadFunctionLogRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/functions/:name/logs',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['functions'],
        summary:
          'Log of a function: its console output, requests and changes; kept in memory, the oldest lines are dropped first',
        params: functionParams,
        querystring: functionLogQuery,
        response: { 200: functionLogSchema, ...errors(400, 404, 501) },
      },
    },
    async (request) => {
      const { cursor, limit } = request.query;
      const { team } = callerOf(request);
      const entries = await getFunctions(context).readLog(team.id, request.params.name, cursor, limit);
      return {
        entries: entries.map(({ atMs, level, source, message }) => ({
          timestamp: shownTime(atMs),
          level,
          source,
          message,
        })),
        cursor: entries.at(-1)?.cursor ?? cursor,
      };
    },
  );
}

/** The time comes from the sandbox, which may have set its clock to any value. */
function shownTime(ms: number): string {
  return timeToWire(Number.isFinite(ms) && ms >= 0 && ms < 253_402_300_800_000 ? ms : 0);
}
