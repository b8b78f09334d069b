import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiPersonalToken } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listTokens = defineCommand({
  meta: {
    name: 'list',
    description: 'List the personal tokens of the signed-in person, without their values',
    examples: ['soulbox token list'],
  },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const call = { path: '/personal-tokens' };
    const { body: tokens } = await callApi<readonly ApiPersonalToken[]>(await findApi(args['data-dir']), call);
    printList(
      tokens,
      {
        ID: ({ id }) => id,
        NAME: ({ name }) => name,
        ENDING: ({ suffix }) => suffix,
        CREATED: ({ createdAt }) => createdAt,
        EXPIRES: ({ expiresAt }) => expiresAt,
        'LAST USED': ({ lastUsed }) => lastUsed ?? 'never',
      },
      args,
    );
  },
});
