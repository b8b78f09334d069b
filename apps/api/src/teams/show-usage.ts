import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { readUsage, usageNames } from './usage.ts';
import type { Usage } from './usage.ts';

const figureSchema = z.object({ used: z.number(), limit: z.int().nullable().describe('Null: no limit.') });
const usageSchema = z
  .object({
    sandboxes: figureSchema.describe('Running sandboxes.'),
    memory_bytes: figureSchema.describe('Memory that the running sandboxes may use.'),
    disk_bytes: figureSchema.describe('Disks of running and paused sandboxes, and snapshots.'),
    paused_memory_bytes: figureSchema.describe('Saved memory of paused sandboxes.'),
    snapshots: figureSchema,
    storage_bytes: figureSchema.describe('Snapshots, archives for template builds and key-value data.'),
    upload_bytes: figureSchema.describe('Archives for template builds.'),
    kv_bytes: figureSchema.describe('Values of key-value namespaces.'),
    events: figureSchema.describe('Above the limit, the oldest events are removed early.'),
    cpu_seconds_today: figureSchema.describe('CPU time of all sandboxes since 00:00 UTC. Counted every two seconds.'),
    egress_bytes_today: figureSchema.describe('Bytes that all sandboxes sent to the outside since 00:00 UTC.'),
  })
  .meta({ id: 'TeamUsage' });

export function addTeamUsageRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/teams/:teamID/usage',
    {
      schema: {
        tags: ['teams'],
        summary: 'Usage and limits of the team. SoulBox extension.',
        params: z.object({ teamID: z.string() }),
        response: { 200: usageSchema, ...errors(404, 503) },
      },
    },
    async (request) => {
      const { team } = callerOf(request);
      const { teamID } = request.params;
      if (teamID !== team.id) throw new SoulBoxError('team_not_found', `Team ${quoteForError(teamID)} was not found.`);
      return usageToWire(await readUsage(context, team.id));
    },
  );
}

function usageToWire(usage: Usage): z.infer<typeof usageSchema> {
  const entries = usageNames.map((name) => {
    const { used, limit } = usage[name];
    return [name, { used, limit: limit === Infinity ? null : limit }] as const;
  });
  return Object.fromEntries(entries) as z.infer<typeof usageSchema>;
}
