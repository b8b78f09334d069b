import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiWebhook } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

const allEvents = ['created', 'updated', 'paused', 'resumed', 'checkpointed', 'killed'];

export const createWebhook = defineCommand({
  meta: {
    name: 'create',
    description: 'Deliver events to a URL; a generated secret is printed only this time',
  },
  args: {
    url: { type: 'positional', required: true, description: 'Target, http:// or https://' },
    name: { type: 'string', description: 'Its name (default: the URL)', valueHint: 'NAME' },
    events: {
      type: 'string',
      description: `Only these events, separated by commas: ${allEvents.join(', ')}`,
      valueHint: 'EVENT,EVENT',
    },
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
    const signatureSecret =
      file === undefined ? randomBytes(32).toString('hex') : (await readFile(file, 'utf8')).trim();
    const words = args.events?.split(',') ?? allEvents;
    const body = {
      name: args.name ?? args.url,
      url: args.url,
      enabled: true,
      events: words.map((word) => (word.includes('.') ? word : `sandbox.lifecycle.${word}`)),
      signatureSecret,
    };
    const api = await findApi(args['data-dir']);
    const { body: webhook } = await callApi<ApiWebhook>(api, { method: 'POST', path: '/events/webhooks', body });
    const made = file === undefined ? { signatureSecret } : {};
    if (args.json === true) console.log(JSON.stringify({ ...webhook, ...made }));
    else console.log([webhook.id, ...Object.values(made)].join('\n'));
  },
});
