import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { keySchema, keyToWire } from './schemas.ts';

export function addListKeysRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/api-keys',
    {
      schema: {
        tags: ['api keys'],
        summary: 'List the API keys of the team, with masked values',
        response: { 200: z.array(keySchema), ...errors() },
      },
    },
    async (request) => (await context.records.apiKeys.list(callerOf(request).team.id)).map(keyToWire),
  );
}
