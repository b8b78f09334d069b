import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeSchema, timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { teamMetrics } from './count-running.ts';

const teamMetricSchema = z
  .object({
    timestamp: timeSchema,
    timestampUnix: z.int().describe('Seconds'),
    concurrentSandboxes: z.int(),
    sandboxStartRate: z.number().describe('Starts per second'),
  })
  .meta({ id: 'TeamMetric' });

const unixSeconds = z.coerce.number().int().min(0).max(253_402_300_799);
/** The span without an explicit start. */
const spanDefaultMs = 3600 * 1000;

export function addTeamMetricsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/teams/:teamID/metrics',
    {
      schema: {
        tags: ['teams'],
        summary: 'Running sandboxes and starts of the team over time',
        params: z.object({ teamID: z.string() }),
        querystring: z.object({
          start: unixSeconds.optional().describe('Unix seconds. Default: an hour before the end.'),
          end: unixSeconds.optional().describe('Unix seconds. Default: now.'),
        }),
        response: { 200: z.array(teamMetricSchema), ...errors(400, 404) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const { teamID } = request.params;
      if (teamID !== team.id) throw new SoulBoxError('team_not_found', `Team ${quoteForError(teamID)} was not found.`);
      const endMs = request.query.end === undefined ? context.clock.now() : request.query.end * 1000;
      const startMs = request.query.start === undefined ? endMs - spanDefaultMs : request.query.start * 1000;
      if (startMs > endMs) throw new SoulBoxError('bad_request', 'start must not be after end.');
      const points = await teamMetrics(context, team.id, startMs, endMs);
      return points.map(({ atMs, concurrent, startsPerSecond }) => ({
        timestamp: timeToWire(atMs),
        timestampUnix: Math.floor(atMs / 1000),
        concurrentSandboxes: concurrent,
        sandboxStartRate: startsPerSecond,
      }));
    },
  );
}
