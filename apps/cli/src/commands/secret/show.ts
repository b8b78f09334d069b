import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSecret } from '../../api/wire.ts';
import { renderFacts } from '../../output/facts.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { pathOf, secretArg } from './read-value.ts';

export const showSecret = defineCommand({
  meta: {
    name: 'show',
    description: 'Show a secret, without its value',
    examples: ['soulbox secret show api', 'soulbox secret show api --json'],
  },
  args: { secret: secretArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { body } = await callApi<ApiSecret>(await findApi(args['data-dir']), { path: pathOf(args.secret) });
    console.log(args.json === true ? JSON.stringify(body) : renderFacts(body));
  },
});
