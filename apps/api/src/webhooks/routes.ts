import { randomUUID } from 'node:crypto';
import { Secret, SoulBoxError } from '@soulbox/base';
import type { WebhookChanges } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { webhooksMax } from '../limits.ts';
import { changesSchema, newWebhookSchema, webhookParams, webhookSchema, webhookToWire } from './schemas.ts';
import { createTargetPolicy } from './target.ts';

export function addWebhookRoutes(app: ApiApp, context: ApiContext): void {
  const { webhooks } = context.records;
  const policy = createTargetPolicy(context.config.webhookAllowPrivate, context.outside);

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

  app.post(
    '/events/webhooks',
    {
      schema: {
        tags: ['events'],
        summary: 'Have lifecycle events posted to a URL',
        body: newWebhookSchema,
        response: { 201: webhookSchema, ...errors(400, 413, 415) },
      },
    },
    async (request, reply) => {
      const { signatureSecret, ...wish } = request.body;
      policy.checkHost(new URL(wish.url).hostname);
      const { team } = callerOf(request);
      const own = { id: randomUUID(), teamId: team.id, createdAt: context.clock.now() };
      const webhook = { ...own, ...wish, signatureSecret: new Secret(signatureSecret) };
      if (!(await webhooks.create(webhook, webhooksMax)))
        throw new SoulBoxError(
          'limit_exceeded',
          `The team has reached the maximum number of webhooks (${webhooksMax}). Delete one.`,
        );
      context.logger.info({ team: team.id, webhookId: webhook.id }, 'webhook created');
      return reply.code(201).send(webhookToWire(webhook));
    },
  );

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

  app.patch(
    '/events/webhooks/:webhookID',
    {
      schema: {
        tags: ['events'],
        summary: 'Change a webhook; what is left out stays. Disabling drops what was still to be delivered',
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

  app.delete(
    '/events/webhooks/:webhookID',
    {
      schema: {
        tags: ['events'],
        summary: 'Delete a webhook and what was still to be delivered',
        params: webhookParams,
        response: { 204: noContent, ...errors(404) },
      },
    },
    async (request, reply) => {
      const { webhookID } = request.params;
      if (!(await webhooks.remove(callerOf(request).team.id, webhookID))) throw webhookNotFound(webhookID);
      return reply.code(204).send(null);
    },
  );
}

function webhookNotFound(id: string): SoulBoxError {
  return new SoulBoxError('webhook_not_found', `Webhook ${quoteForError(id)} was not found.`);
}

/** Absent members stay absent: an undefined one would be written. */
function changesFromBody({ signatureSecret, ...body }: z.infer<typeof changesSchema>): WebhookChanges {
  const changes = Object.fromEntries(Object.entries(body).filter(([, value]) => value !== undefined)) as WebhookChanges;
  return signatureSecret === undefined ? changes : { ...changes, signatureSecret: new Secret(signatureSecret) };
}
