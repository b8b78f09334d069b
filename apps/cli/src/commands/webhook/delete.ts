import { defineDeleteCommand } from '../delete-command.ts';

export const deleteWebhook = defineDeleteCommand({
  description: 'Delete a webhook and its pending deliveries',
  noun: 'webhook',
  argument: { type: 'positional', required: true, description: 'Its id' },
  key: 'id',
  pathOf: (id) => `/events/webhooks/${encodeURIComponent(id)}`,
});
