import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../../program/shared-args.ts';

export const deleteWebhook = defineCommand({
  meta: { name: 'delete', description: 'Delete a webhook; nothing more is delivered to it' },
  args: {
    webhook: { type: 'positional', required: true, description: 'Its id' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    await callApi(api, { method: 'DELETE', path: `/events/webhooks/${encodeURIComponent(args.webhook)}` });
    console.log(args.json === true ? JSON.stringify({ id: args.webhook, deleted: true }) : `Deleted ${args.webhook}.`);
  },
});
