import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ApiBucket } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { printList } from '../../output/print-list.ts';

export const listBuckets = defineCommand({
  meta: { name: 'list', description: 'List the buckets of the team', examples: ['soulbox bucket list'] },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const buckets = await listAll<ApiBucket>(await findApi(args['data-dir']), { path: '/buckets' });
    printList(
      buckets,
      {
        ID: ({ bucketID }) => bucketID,
        NAME: ({ name }) => name,
        URL: ({ url }) => url,
        CREDENTIALS: ({ hasCredentials }) => (hasCredentials ? 'yes' : 'none'),
        ACCESS: ({ readOnly }) => (readOnly ? 'read-only' : 'read-write'),
        UPDATED: ({ updatedAt }) => updatedAt,
      },
      args,
    );
  },
});
