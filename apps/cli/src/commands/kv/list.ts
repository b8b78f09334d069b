import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiKvNamespace } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { showBytes } from '../../output/table.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listNamespaces = defineCommand({
  meta: { name: 'list', description: 'List the key-value namespaces of the team', examples: ['soulbox kv list'] },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { body } = await callApi<readonly ApiKvNamespace[]>(await findApi(args['data-dir']), { path: '/kv' });
    printList(
      body,
      {
        NAME: ({ name }) => name,
        KEYS: ({ keyCount }) => keyCount,
        SIZE: ({ sizeBytes }) => showBytes(sizeBytes),
        CREATED: ({ createdAt }) => createdAt,
      },
      args,
    );
  },
});
