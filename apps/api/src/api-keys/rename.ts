import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors, noContent } from '../http/schemas.ts';
import { keyNotFound, keyParams, nameSchema } from './schemas.ts';

const renameKeySchema = z.object({ name: nameSchema }).meta({ id: 'UpdateTeamAPIKey' });

export function addRenameKeyRoute(app: ApiApp, context: ApiContext): void {
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
      const isRenamed = await context.records.apiKeys.rename(team.id, apiKeyID, request.body.name, auditNote(request));
      if (!isRenamed) throw keyNotFound(apiKeyID);
      return reply.code(200).send(null);
    },
  );
}
