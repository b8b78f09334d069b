import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiWebhook } from '../../api/wire.ts';
import { renderFacts } from '../../output/facts.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { pathOf, webhookArg } from './shared.ts';

export const showWebhook = defineCommand({
  meta: {
    name: 'show',
    description: 'Show a webhook, without its secret',
    examples: ['soulbox webhook show WEBHOOK', 'soulbox webhook show WEBHOOK --json'],
  },
  args: { webhook: webhookArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { body } = await callApi<ApiWebhook>(await findApi(args['data-dir']), { path: pathOf(args.webhook) });
    console.log(args.json === true ? JSON.stringify(body) : renderFacts(body));
  },
});
