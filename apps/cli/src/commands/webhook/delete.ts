import { pathOf, webhookArg } from './shared.ts';
import { defineDeleteCommand } from '../delete-command.ts';

export const deleteWebhook = defineDeleteCommand({
  description: 'Delete a webhook and its pending deliveries',
  examples: ['soulbox webhook delete WEBHOOK', 'soulbox webhook delete WEBHOOK --json'],
  noun: 'webhook',
  argument: webhookArg,
  key: 'id',
  pathOf: pathOf,
});
