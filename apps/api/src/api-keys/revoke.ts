import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors, noContent } from '../http/schemas.ts';
import { keyNotFound, keyParams } from './schemas.ts';

export function addRevokeKeyRoute(app: ApiApp, context: ApiContext): void {
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
      if (!(await context.records.apiKeys.remove(team.id, apiKeyID, auditNote(request)))) throw keyNotFound(apiKeyID);
      context.logger.info({ team: team.id, keyId: apiKeyID }, 'API key revoked');
      return reply.code(204).send(null);
    },
  );
}
