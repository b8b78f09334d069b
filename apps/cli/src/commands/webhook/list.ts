import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiWebhook } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listWebhooks = defineCommand({
  meta: {
    name: 'list',
    description: 'List the webhooks of the team, without their secrets',
    examples: ['soulbox webhook list'],
  },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const { body: webhooks } = await callApi<readonly ApiWebhook[]>(api, { path: '/events/webhooks' });
    printList(
      webhooks,
      {
        ID: (webhook) => webhook.id,
        NAME: (webhook) => webhook.name,
        STATE: (webhook) => (webhook.enabled ? 'on' : 'off'),
        URL: (webhook) => webhook.url,
        EVENTS: (webhook) => webhook.events.map((event) => event.replace(/^sandbox\.lifecycle\./, '')).join(','),
      },
      args,
    );
  },
});
