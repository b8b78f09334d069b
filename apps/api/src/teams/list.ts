import { z } from 'zod';
import { callerOf, presentedKey } from '../auth/authenticate.ts';
import type { Person } from '../auth/person.ts';
import { teamsOf } from '../auth/teams-of.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';

const teamSchema = z
  .object({
    teamID: z.string(),
    name: z.string(),
    apiKey: z
      .string()
      .describe('The API key of this request. For a personal token: the token as a key of this team. Otherwise empty.'),
    isDefault: z.boolean(),
  })
  .meta({ id: 'Team' });

export function addListTeamsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/teams',
    {
      config: { auth: 'key-or-bearer' },
      schema: {
        tags: ['teams'],
        summary: "The key's team, or the teams of the signed-in person",
        response: { 200: z.array(teamSchema), ...errors() },
      },
    },
    async (request) => {
      if (request.person) return await listOwn(context, request.person);
      const { team } = callerOf(request);
      const apiKey = presentedKey(request, 'key-or-bearer') ?? '';
      return [{ teamID: team.id, name: team.name, apiKey, isDefault: team.isDefault }];
    },
  );
}

/** Clients that can only send an API key send the token in its place, with the team for which they use it. */
async function listOwn(context: ApiContext, person: Person): Promise<z.infer<typeof teamSchema>[]> {
  const keyOf = (teamId: string): string => (person.via === 'token' ? `${person.token.reveal()}_${teamId}` : '');
  const teams = await teamsOf(context, person.user.id);
  return teams.map(({ team: { id, name } }, index) => ({
    ...{ teamID: id, name, apiKey: keyOf(id), isDefault: index === 0 },
  }));
}
