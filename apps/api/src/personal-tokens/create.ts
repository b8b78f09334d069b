import { SoulBoxError } from '@soulbox/base';
import { z } from 'zod';
import { nameSchema } from '../api-keys/schemas.ts';
import { personOf } from '../auth/person.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { createPersonalToken, tokenDaysDefault, tokenDaysMax } from './create-token.ts';
import { tokenSchema, tokenToWire } from './schemas.ts';

const newTokenSchema = z
  .object({ name: nameSchema, expiresInDays: z.int().min(1).max(tokenDaysMax).default(tokenDaysDefault) })
  .meta({ id: 'NewPersonalToken' });

const createdSchema = tokenSchema
  .extend({ token: z.string().describe('Returned only once; the server stores only its HMAC.') })
  .meta({ id: 'CreatedPersonalToken' });

export function addCreateTokenRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/personal-tokens',
    {
      config: { auth: 'person' },
      schema: {
        tags: ['people'],
        summary: 'Create a token with which programs act for the signed-in person. SoulBox extension.',
        body: newTokenSchema,
        response: { 201: createdSchema, ...errors(400, 403, 413, 415) },
      },
    },
    async (request, reply) => {
      const person = personOf(request);
      // A token that was stolen must not outlive its own end.
      if (person.via !== 'session')
        throw new SoulBoxError('forbidden', 'A personal token cannot create another one. Sign in with a browser.');
      const { name, expiresInDays: days } = request.body;
      const { user, session } = person;
      const made = { userId: user.id, name, days, rule: 'session', isOfProgram: false, sessionId: session.id };
      const { token, record } = await createPersonalToken(request, context, made);
      return reply.code(201).send({ ...tokenToWire(record), token: token.reveal() });
    },
  );
}
