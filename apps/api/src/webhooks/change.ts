import { Secret } from '@soulbox/base';
import type { WebhookChanges } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { webhookNotFound, changesSchema, webhookParams, webhookSchema, webhookToWire } from './schemas.ts';
import { createTargetPolicy } from './target.ts';

export function addChangeWebhookRoute(app: ApiApp, context: ApiContext): void {
  const { webhooks } = context.records;
  const policy = createTargetPolicy(context.config.webhookAllowPrivate, context.outside);

  app.patch(
    '/events/webhooks/:webhookID',
    {
      schema: {
        tags: ['events'],
        summary: 'Change a webhook; omitted fields stay as they are. Disabling it discards pending deliveries',
        params: webhookParams,
        body: changesSchema,
        response: { 200: webhookSchema, ...errors(400, 404, 413, 415) },
      },
    },
    async (request) => {
      const changes = changesFromBody(request.body);
      if (changes.url !== undefined) policy.checkHost(new URL(changes.url).hostname);
      const webhook = await webhooks.update(callerOf(request).team.id, request.params.webhookID, changes);
      if (webhook === undefined) throw webhookNotFound(request.params.webhookID);
      return webhookToWire(webhook);
    },
  );
}

/** Absent members stay absent: an undefined member would be written. */
function changesFromBody({ signatureSecret, ...body }: z.infer<typeof changesSchema>): WebhookChanges {
  const changes = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as WebhookChanges;
  return signatureSecret === undefined ? changes : { ...changes, signatureSecret: new Secret(signatureSecret) };
}
