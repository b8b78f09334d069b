import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiWebhook } from '../../api/wire.ts';
import { renderTable } from '../../output/table.ts';
import { apiDataDirArg, jsonArg } from '../../program/shared-args.ts';

export const listWebhooks = defineCommand({
  meta: { name: 'list', description: 'List the webhooks of the team, without their secrets' },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const { body: webhooks } = await callApi<readonly ApiWebhook[]>(api, { path: '/events/webhooks' });
    if (args.json === true) {
      console.log(JSON.stringify(webhooks));
      return;
    }
    const rows = webhooks.map(({ id, name, enabled, url, events }) => {
      const words = events.map((event) => event.replace(/^sandbox\.lifecycle\./, ''));
      return [id, name, enabled ? 'on' : 'off', url, words.join(',')];
    });
    console.log(renderTable(['ID', 'NAME', 'STATE', 'URL', 'EVENTS'], rows));
  },
});
