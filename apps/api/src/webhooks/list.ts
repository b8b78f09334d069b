import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { webhookSchema, webhookToWire } from './schemas.ts';

export function addListWebhooksRoute(app: ApiApp, context: ApiContext): void {
  const { webhooks } = context.records;

  app.get(
    '/events/webhooks',
    {
      schema: {
        tags: ['events'],
        summary: "List the team's webhooks; their secrets are never shown",
        response: { 200: z.array(webhookSchema), ...errors() },
      },
    },
    async (request) => (await webhooks.list(callerOf(request).team.id)).map(webhookToWire),
  );
}
