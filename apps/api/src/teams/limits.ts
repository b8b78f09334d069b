import { SoulBoxError } from '@soulbox/base';
import { teamLimitNames, teamLimits } from '@soulbox/contract';
import type { TeamLimitName } from '@soulbox/contract';
import { z } from 'zod';
import { addressOf } from '../actor.ts';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import type { Deed } from '../trail/deed.ts';

const limitSchema = z.object({
  value: z.int().nullable().describe('Null: no limit.'),
  isDefault: z.boolean().describe('Whether it is the setting of the server.'),
});

/** An object with a member for each limit. */
function forEachLimit<T extends z.ZodType>(
  schemaOf: (name: TeamLimitName) => T,
): z.ZodObject<Record<TeamLimitName, T>> {
  const entries = teamLimitNames.map((name) => [name, schemaOf(name)] as const);
  return z.strictObject(Object.fromEntries(entries) as Record<TeamLimitName, T>);
}

const limitsSchema = forEachLimit((name) => limitSchema.describe(teamLimits[name].help)).meta({ id: 'TeamLimits' });
const changesSchema = forEachLimit((name) =>
  z
    .union([z.int().min(0).max(teamLimits[name].max), z.null(), z.literal('default')])
    .optional()
    .describe(`${teamLimits[name].help} Null: no limit. \`default\`: the setting of the server.`),
).meta({ id: 'TeamLimitsChange' });
const params = z.object({ teamID: z.string() });

export function addTeamLimitRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/teams/:teamID/limits',
    {
      schema: {
        tags: ['teams'],
        summary: 'Limits of the team. SoulBox extension.',
        params,
        response: { 200: limitsSchema, ...errors(404) },
      },
    },
    async (request) => {
      const { teamID } = request.params;
      if (teamID !== callerOf(request).team.id) throw teamNotFound(teamID);
      return await limitsToWire(context, teamID);
    },
  );

  app.patch(
    '/teams/:teamID/limits',
    {
      config: { auth: 'admin' },
      schema: {
        tags: ['teams'],
        summary: "Change limits of a team, with the administrator's token. SoulBox extension.",
        description:
          'The token is in the file `secrets/admin-token` of the data folder, and is sent as X-API-Key or as a bearer token. ' +
          'A change applies at once.',
        params,
        body: changesSchema,
        response: { 200: limitsSchema, ...errors(400, 404, 413, 415) },
      },
    },
    async (request) => {
      const { teamID } = request.params;
      const entries = Object.entries(request.body as Readonly<Record<string, number | null | 'default' | undefined>>);
      const changes = Object.fromEntries(
        entries.map(([name, value]) => [name, value === 'default' ? undefined : value] as const),
      );
      const deed: Deed = {
        ...{ teamId: teamID, action: 'team.set-limits', class: 'security', scope: 'server', rule: 'admin-token' },
        actor: { kind: 'operator', id: 'admin-token' },
        target: { kind: 'team', id: teamID },
        request: { id: request.id, method: request.method, route: request.routeOptions.url ?? '' },
        source: { address: addressOf(request), userAgent: request.headers['user-agent'] ?? '' },
      };
      if ((await context.records.teams.find(teamID)) === undefined) throw teamNotFound(teamID);
      await context.trail.checkRoom(teamID);
      const note = (await context.trail.note(deed, { status: 'success', code: 200 }))();
      if (!(await context.records.quotas.setLimits(teamID, changes, note))) throw teamNotFound(teamID);
      context.logger.info({ team: teamID, limits: Object.keys(request.body) }, 'limits of a team changed');
      return await limitsToWire(context, teamID);
    },
  );
}

function teamNotFound(teamId: string): SoulBoxError {
  return new SoulBoxError('team_not_found', `Team ${quoteForError(teamId)} was not found.`);
}

async function limitsToWire({ quotas }: ApiContext, teamId: string): Promise<z.infer<typeof limitsSchema>> {
  const [limits, own] = [await quotas.limitsOf(teamId), await quotas.ownLimitsOf(teamId)];
  const entries = teamLimitNames.map((name) => {
    const value = limits[name];
    return [name, { value: value === Infinity ? null : value, isDefault: !own.has(name) }] as const;
  });
  return Object.fromEntries(entries) as z.infer<typeof limitsSchema>;
}
