import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { readUsage } from './usage.ts';

const figureSchema = z.object({ used: z.int(), limit: z.int() });
const usageSchema = z
  .object({
    disk_bytes: figureSchema.describe('Disks of running and paused sandboxes, and snapshots.'),
    paused_memory_bytes: figureSchema.describe('Saved memory of paused sandboxes.'),
    snapshots: figureSchema,
    upload_bytes: figureSchema.describe('Archives for template builds.'),
    kv_bytes: figureSchema.describe('Values of key-value namespaces.'),
    events: figureSchema.describe('Above the limit, the oldest events are removed early.'),
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
      return await readUsage(context, team.id);
    },
  );
}
