import { randomBytes } from 'node:crypto';
import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiWebhook } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { eventsArg, eventTypes, readSecretFile } from './shared.ts';

export const createWebhook = defineCommand({
  meta: {
    name: 'create',
    description: 'Deliver events to a URL; a generated secret is printed only this time',
    examples: [
      'soulbox webhook create https://example.com/hook',
      'soulbox webhook create https://example.com/hook --name ci --events paused,killed',
    ],
  },
  args: {
    url: { type: 'positional', required: true, description: 'Target, http:// or https://' },
    name: { type: 'string', description: 'Its name (default: the URL)', valueHint: 'NAME' },
    events: eventsArg,
    'secret-file': {
      type: 'string',
      description: 'File with the secret that signs deliveries (default: a new one)',
      valueHint: 'FILE',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const file = args['secret-file'];
    const signatureSecret = file === undefined ? randomBytes(32).toString('hex') : await readSecretFile(file);
    const body = {
      name: args.name ?? args.url,
      url: args.url,
      enabled: true,
      events: eventTypes(args.events),
      signatureSecret,
    };
    const api = await findApi(args['data-dir']);
    const { body: webhook } = await callApi<ApiWebhook>(api, { method: 'POST', path: '/events/webhooks', body });
    const made = file === undefined ? { signatureSecret } : {};
    if (args.json === true) console.log(JSON.stringify({ ...webhook, ...made }));
    else console.log([webhook.id, ...Object.values(made)].join('\n'));
  },
});
