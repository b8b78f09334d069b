import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiFunctionVersion } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { showBytes } from '../../output/table.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { functionArg, pathOf } from './shared.ts';

export const listVersions = defineCommand({
  meta: {
    name: 'versions',
    description: 'List the versions of a function that it can go back to, newest first',
    examples: ['soulbox function versions hello', 'soulbox function versions hello --json'],
  },
  args: { function: functionArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const call = { path: pathOf(args.function, '/versions') };
    const { body: versions } = await callApi<readonly ApiFunctionVersion[]>(await findApi(args['data-dir']), call);
    printList(
      versions,
      {
        VERSION: ({ version }) => version,
        ACTIVE: ({ active }) => (active ? 'yes' : ''),
        SIZE: ({ sizeBytes }) => showBytes(sizeBytes),
        DEPLOYED: ({ createdAt }) => createdAt,
        DIGEST: ({ digest }) => digest,
      },
      args,
    );
  },
});
