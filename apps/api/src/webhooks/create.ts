import { randomUUID } from 'node:crypto';
import { Secret, SoulBoxError } from '@soulbox/base';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors } from '../http/schemas.ts';
import { webhooksMax } from '../limits.ts';
import { newWebhookSchema, placeOfWebhookSecret, webhookSchema, webhookToWire } from './schemas.ts';
import { createTargetPolicy } from './target.ts';

export function addCreateWebhookRoute(app: ApiApp, context: ApiContext): void {
  const { webhooks } = context.records;
  const policy = createTargetPolicy(context.config.webhookAllowPrivate, context.outside);

  app.post(
    '/events/webhooks',
    {
      schema: {
        tags: ['events'],
        summary: 'Create a webhook: lifecycle events are posted to its URL',
        body: newWebhookSchema,
        response: { 201: webhookSchema, ...errors(400, 413, 415) },
      },
    },
    async (request, reply) => {
      const { signatureSecret, ...settings } = request.body;
      policy.checkHost(new URL(settings.url).hostname);
      const { team } = callerOf(request);
      const own = { id: randomUUID(), teamId: team.id, createdAt: context.clock.now() };
      const secret = new Secret(signatureSecret);
      const sealedSecret = await context.keyring.seal(secret, placeOfWebhookSecret(own));
      const webhook = { ...own, ...settings, sealedSecret };
      if (!(await webhooks.create(webhook, webhooksMax, auditNote(request, webhook.id))))
        throw new SoulBoxError(
          'limit_exceeded',
          `The team has reached the maximum number of webhooks (${webhooksMax}). Delete one.`,
        );
      context.logger.info({ team: team.id, webhookId: webhook.id }, 'webhook created');
      return reply.code(201).send(webhookToWire(webhook));
    },
  );
}
