import { z } from 'zod';
import { personOf } from '../auth/person.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { tokenSchema, tokenToWire } from './schemas.ts';

export function addListTokensRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/personal-tokens',
    {
      config: { auth: 'person' },
      schema: {
        tags: ['people'],
        summary: 'List the tokens of the signed-in person, without their values. SoulBox extension.',
        response: { 200: z.array(tokenSchema), ...errors(403) },
      },
    },
    async (request) => (await context.records.personalTokens.list(personOf(request).user.id)).map(tokenToWire),
  );
}
