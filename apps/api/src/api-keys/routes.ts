import { SoulBoxError } from '@soulbox/base';
import { isolations } from '@soulbox/contract';
import { createApiKey } from '@soulbox/storage';
import type { ApiKeyRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, timeSchema, timeToWire } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';

const nameSchema = z
  .string()
  .trim()
  .min(1)
  .max(128)
  .refine((text) => text.isWellFormed() && !/\p{Cc}/u.test(text), 'must not contain control characters');

const newKeySchema = z
  .object({
    name: nameSchema,
    isolation: z
      .enum(isolations)
      .optional()
      .describe("What walls off sandboxes and builds of this key that do not say it themselves. SoulBox's own."),
  })
  .meta({ id: 'NewTeamAPIKey' });

const renameKeySchema = z.object({ name: nameSchema }).meta({ id: 'UpdateTeamAPIKey' });

const maskSchema = z.object({
  prefix: z.string(),
  valueLength: z.int(),
  maskedValuePrefix: z.string(),
  maskedValueSuffix: z.string(),
});

const keySchema = z
  .object({
    id: z.uuid(),
    name: z.string(),
    mask: maskSchema,
    createdAt: timeSchema,
    createdBy: z.null(),
    lastUsed: timeSchema.nullable().describe('True to a minute.'),
    isolation: z.string().nullable().describe("Null: the key decides nothing. SoulBox's own."),
  })
  .meta({ id: 'TeamAPIKey' });

const createdKeySchema = keySchema
  .extend({ key: z.string().describe('Shown this one time; only its hash is kept.') })
  .meta({ id: 'CreatedTeamAPIKey' });

const keyParams = z.object({ apiKeyID: z.string() });

export function addApiKeyRoutes(app: ApiApp, context: ApiContext): void {
  app.get(
    '/api-keys',
    {
      schema: {
        tags: ['api keys'],
        summary: 'List the API keys of the team, masked',
        response: { 200: z.array(keySchema), ...errors() },
      },
    },
    async (request) => (await context.records.apiKeys.list(callerOf(request).team.id)).map(keyToWire),
  );

  app.post(
    '/api-keys',
    {
      schema: {
        tags: ['api keys'],
        summary: 'Make an API key',
        body: newKeySchema,
        response: { 201: createdKeySchema, ...errors(400, 413, 415) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { key, record } = await createApiKey(context.records, team, request.body.name, request.body.isolation);
      context.logger.info({ team: team.id, keyId: record.id }, 'API key created');
      return reply.code(201).send({ ...keyToWire(record), key: key.reveal() });
    },
  );

  app.patch(
    '/api-keys/:apiKeyID',
    {
      schema: {
        tags: ['api keys'],
        summary: 'Rename an API key',
        params: keyParams,
        body: renameKeySchema,
        response: { 200: noContent, ...errors(400, 404, 413, 415) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { apiKeyID } = request.params;
      if (!(await context.records.apiKeys.rename(team.id, apiKeyID, request.body.name))) throw keyNotFound(apiKeyID);
      return reply.code(200).send(null);
    },
  );

  app.delete(
    '/api-keys/:apiKeyID',
    {
      schema: {
        tags: ['api keys'],
        summary: 'Revoke an API key',
        params: keyParams,
        response: { 204: noContent, ...errors(404) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { apiKeyID } = request.params;
      if (!(await context.records.apiKeys.remove(team.id, apiKeyID))) throw keyNotFound(apiKeyID);
      context.logger.info({ team: team.id, keyId: apiKeyID }, 'API key revoked');
      return reply.code(204).send(null);
    },
  );
}

function keyNotFound(id: string): SoulBoxError {
  return new SoulBoxError('key_not_found', `API key ${quoteForError(id)} was not found.`);
}

function keyToWire(record: ApiKeyRecord): z.infer<typeof keySchema> {
  return {
    id: record.id,
    name: record.name,
    mask: record.mask,
    createdAt: timeToWire(record.createdAt),
    createdBy: null,
    lastUsed: record.lastUsedAt === undefined ? null : timeToWire(record.lastUsedAt),
    isolation: record.isolation === '' ? null : record.isolation,
  };
}
