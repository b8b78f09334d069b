import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { webhookNotFound, webhookParams, webhookSchema, webhookToWire } from './schemas.ts';

export function addGetWebhookRoute(app: ApiApp, context: ApiContext): void {
  const { webhooks } = context.records;

  app.get(
    '/events/webhooks/:webhookID',
    {
      schema: {
        tags: ['events'],
        summary: 'Show a webhook without its secret',
        params: webhookParams,
        response: { 200: webhookSchema, ...errors(404) },
      },
    },
    async (request) => {
      const webhook = await webhooks.find(callerOf(request).team.id, request.params.webhookID);
      if (webhook === undefined) throw webhookNotFound(request.params.webhookID);
      return webhookToWire(webhook);
    },
  );
}
