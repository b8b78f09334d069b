import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiWebhook } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { renderFacts } from '../../output/facts.ts';
import { eventsArg, eventTypes, pathOf, readSecretFile, webhookArg } from './shared.ts';

export const updateWebhook = defineCommand({
  meta: {
    name: 'update',
    description: 'Change a webhook; what is not named stays. --off discards pending deliveries',
    examples: ['soulbox webhook update WEBHOOK --events paused,killed', 'soulbox webhook update WEBHOOK --off'],
  },
  args: {
    webhook: webhookArg,
    url: { type: 'string', description: 'A new target, http:// or https://', valueHint: 'URL' },
    name: { type: 'string', description: 'A new name', valueHint: 'NAME' },
    events: eventsArg,
    on: { type: 'boolean', description: 'Deliver events' },
    off: { type: 'boolean', description: 'Deliver nothing' },
    'secret-file': {
      type: 'string',
      description: 'File with the new secret that signs deliveries',
      valueHint: 'FILE',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if (args.on === true && args.off === true) throw new UsageError('--on cannot be used with --off.');
    const file = args['secret-file'];
    const changes = {
      name: args.name,
      url: args.url,
      enabled: args.on === true ? true : args.off === true ? false : undefined,
      events: args.events === undefined ? undefined : eventTypes(args.events),
      signatureSecret: file === undefined ? undefined : await readSecretFile(file),
    };
    if (Object.values(changes).every((value) => value === undefined))
      throw new UsageError('Nothing to change: give --url, --name, --events, --on, --off or --secret-file.');
    const call = { method: 'PATCH', path: pathOf(args.webhook), body: changes } as const;
    const { body } = await callApi<ApiWebhook>(await findApi(args['data-dir']), call);
    console.log(args.json === true ? JSON.stringify(body) : renderFacts(body));
  },
});
