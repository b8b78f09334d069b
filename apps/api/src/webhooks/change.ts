import { Secret } from '@soulbox/base';
import type { WebhookChanges } from '@soulbox/storage';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import {
  changesSchema,
  placeOfWebhookSecret,
  webhookNotFound,
  webhookParams,
  webhookSchema,
  webhookToWire,
} from './schemas.ts';
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
      const { webhookID: id } = request.params;
      const { id: teamId } = callerOf(request).team;
      const { signatureSecret, ...body } = request.body;
      if (body.url !== undefined) policy.checkHost(new URL(body.url).hostname);
      const secret = signatureSecret === undefined ? undefined : new Secret(signatureSecret);
      const sealedSecret =
        secret === undefined ? undefined : await context.keyring.seal(secret, placeOfWebhookSecret({ id, teamId }));
      const webhook = await webhooks.update(teamId, id, onlyGiven({ ...body, sealedSecret }), auditNote(request));
      if (webhook === undefined) throw webhookNotFound(id);
      return webhookToWire(webhook);
    },
  );
}

/** Absent members stay absent: an undefined member would be written. */
function onlyGiven(changes: { [K in keyof WebhookChanges]: WebhookChanges[K] | undefined }): WebhookChanges {
  return Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== undefined));
}
