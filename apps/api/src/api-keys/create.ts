import { isolations } from '@soulbox/contract';
import { createApiKey } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { keySchema, keyToWire, nameSchema } from './schemas.ts';

const newKeySchema = z
  .object({
    name: nameSchema,
    isolation: z
      .enum(isolations)
      .optional()
      .describe('Isolation of sandboxes and builds of this key that do not specify one. SoulBox extension.'),
  })
  .meta({ id: 'NewTeamAPIKey' });

const createdKeySchema = keySchema
  .extend({ key: z.string().describe('Returned only once; the server stores only its hash.') })
  .meta({ id: 'CreatedTeamAPIKey' });

export function addCreateKeyRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/api-keys',
    {
      schema: {
        tags: ['api keys'],
        summary: 'Create an API key',
        body: newKeySchema,
        response: { 201: createdKeySchema, ...errors(400, 413, 415) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { name, isolation } = request.body;
      const { key, record } = await createApiKey(context.records, team, name, isolation, ({ id }) =>
        auditNote(request, id),
      );
      context.logger.info({ team: team.id, keyId: record.id }, 'API key created');
      return reply.code(201).send({ ...keyToWire(record), key: key.reveal() });
    },
  );
}
