import { isKeyTemplate, isolations, keyTemplatesMax, normalTemplate } from '@soulbox/contract';
import { createApiKey } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import { roles, scopes } from '../auth/scopes.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { rightsOf } from './rights.ts';
import { keySchema, keyToWire, nameSchema } from './schemas.ts';

const newKeySchema = z
  .object({
    name: nameSchema,
    isolation: z
      .enum(isolations)
      .optional()
      .describe('Isolation of sandboxes and builds of this key that do not specify one. SoulBox extension.'),
    role: z.enum(roles).optional().describe('A named set of scopes. SoulBox extension.'),
    scopes: z
      .array(z.enum(scopes))
      .max(scopes.length)
      .optional()
      .describe(
        'In addition to those of the role. Default of both: those of the key of this request. SoulBox extension.',
      ),
    templates: z
      .array(z.string().transform(normalTemplate).refine(isKeyTemplate, 'must be an id or a name without a tag'))
      .max(keyTemplatesMax)
      .optional()
      .describe('Restricts the key to these templates, by id or name without a tag. Default: all. SoulBox extension.'),
    expiresAt: z.iso
      .datetime({ offset: true })
      .optional()
      .describe('Default: when the key of this request expires. SoulBox extension.'),
  })
  .meta({ id: 'NewTeamAPIKey' });

const createdKeySchema = keySchema
  .extend({ key: z.string().describe('Returned only once; the server stores only an HMAC of it.') })
  .meta({ id: 'CreatedTeamAPIKey' });

export function addCreateKeyRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/api-keys',
    {
      schema: {
        tags: ['api keys'],
        summary: 'Create an API key',
        body: newKeySchema,
        response: { 201: createdKeySchema, ...errors(400, 403, 413, 415) },
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      const { team } = caller;
      await context.quotas.refuseBudgeted({ teamId: team.id, keyId: caller.keyId });
      const { name, isolation, expiresAt, ...wanted } = request.body;
      const at = expiresAt === undefined ? undefined : Date.parse(expiresAt);
      const { key, record } = await createApiKey(context.records, team, name, {
        isolation,
        ...rightsOf(caller, { ...wanted, expiresAt: at }, context.clock.now()),
        noteOf: ({ id }) => auditNote(request, id),
      });
      context.logger.info({ team: team.id, keyId: record.id }, 'API key created');
      return reply.code(201).send({ ...keyToWire(record), key: key.reveal() });
    },
  );
}
