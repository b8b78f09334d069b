import { z } from 'zod';
import { callerOf, presentedKey } from '../auth/authenticate.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';

const teamSchema = z
  .object({
    teamID: z.string(),
    name: z.string(),
    apiKey: z.string().describe('The API key of this request. Other keys cannot be returned.'),
    isDefault: z.boolean(),
  })
  .meta({ id: 'Team' });

export function addListTeamsRoute(app: ApiApp): void {
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
}
