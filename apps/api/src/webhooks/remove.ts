import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors, noContent } from '../http/schemas.ts';
import { webhookNotFound, webhookParams } from './schemas.ts';

export function addRemoveWebhookRoute(app: ApiApp, context: ApiContext): void {
  const { webhooks } = context.records;

  app.delete(
    '/events/webhooks/:webhookID',
    {
      schema: {
        tags: ['events'],
        summary: 'Delete a webhook and its pending deliveries',
        params: webhookParams,
        response: { 204: noContent, ...errors(404) },
      },
    },
    async (request, reply) => {
      const { webhookID } = request.params;
      if (!(await webhooks.remove(callerOf(request).team.id, webhookID, auditNote(request))))
        throw webhookNotFound(webhookID);
      return reply.code(204).send(null);
    },
  );
}
