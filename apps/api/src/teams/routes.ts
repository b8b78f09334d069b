import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf, presentedKey } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, timeSchema, timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { teamMetrics } from './metrics.ts';
import { readUsage } from './usage.ts';

const teamSchema = z
  .object({
    teamID: z.string(),
    name: z.string(),
    apiKey: z.string().describe('The key that this request carried; others cannot be shown.'),
    isDefault: z.boolean(),
  })
  .meta({ id: 'Team' });

const teamMetricSchema = z
  .object({
    timestamp: timeSchema,
    timestampUnix: z.int().describe('Seconds'),
    concurrentSandboxes: z.int(),
    sandboxStartRate: z.number().describe('Starts per second'),
  })
  .meta({ id: 'TeamMetric' });

const figureSchema = z.object({ used: z.int(), limit: z.int() });
const usageSchema = z
  .object({
    disk_bytes: figureSchema.describe('Disks of sandboxes, paused ones included, and snapshots.'),
    paused_memory_bytes: figureSchema.describe('Saved memory of paused sandboxes.'),
    snapshots: figureSchema,
    upload_bytes: figureSchema.describe('Archives for template builds.'),
    kv_bytes: figureSchema.describe('Values of key-value namespaces.'),
    events: figureSchema.describe('Of more than the limit, the oldest go before their time.'),
  })
  .meta({ id: 'TeamUsage' });

const unixSeconds = z.coerce.number().int().min(0).max(253_402_300_799);
/** What is shown when no span is asked for. */
const spanDefaultMs = 3600 * 1000;

export function addTeamRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/teams',
    {
      config: { auth: 'key-or-bearer' },
      schema: { tags: ['teams'], summary: "The key's team", response: { 200: z.array(teamSchema), ...errors() } },
    },
    (request) => {
      const { team } = callerOf(request);
      const apiKey = presentedKey(request, 'key-or-bearer') ?? '';
      return [{ teamID: team.id, name: team.name, apiKey, isDefault: team.isDefault }];
    },
  );

  app.get(
    '/teams/:teamID/usage',
    {
      schema: {
        tags: ['teams'],
        summary: "What the team has of everything that has a limit. SoulBox's own.",
        params: z.object({ teamID: z.string() }),
        response: { 200: usageSchema, ...errors(404, 503) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const { teamID } = request.params;
      if (teamID !== team.id) throw new SoulBoxError('team_not_found', `Team ${quoteForError(teamID)} was not found.`);
      return await readUsage(context, team.id);
    },
  );

  app.get(
    '/teams/:teamID/metrics',
    {
      schema: {
        tags: ['teams'],
        summary: 'Running sandboxes and starts of the team over time',
        params: z.object({ teamID: z.string() }),
        querystring: z.object({
          start: unixSeconds.optional().describe('Unix seconds; absent: an hour before the end.'),
          end: unixSeconds.optional().describe('Unix seconds; absent: now.'),
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
