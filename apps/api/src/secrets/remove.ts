import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors, noContent } from '../http/schemas.ts';
import { getSecret } from './find.ts';
import { idPrefix, secretNotFound, secretParams } from './schemas.ts';

export function addRemoveSecretRoute(app: ApiApp, context: ApiContext): void {
  const { records, logger } = context;

  app.delete(
    '/secrets/:secretID',
    {
      schema: {
        tags: ['secrets'],
        summary: 'Delete a secret with all its versions',
        params: secretParams,
        response: { 204: noContent, ...errors(404) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { id } = await getSecret(context, team.id, request.params.secretID);
      const isRemoved = await records.secrets.remove(team.id, id, auditNote(request, idPrefix + id));
      if (!isRemoved) throw secretNotFound(request.params.secretID);
      logger.info({ team: team.id, secretId: id }, 'secret deleted');
      return reply.code(204).send(null);
    },
  );
}
