import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ApiSecret } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listSecrets = defineCommand({
  meta: {
    name: 'list',
    description: 'List the secrets of the team, without their values',
    examples: ['soulbox secret list'],
  },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const secrets = await listAll<ApiSecret>(await findApi(args['data-dir']), { path: '/secrets' });
    printList(
      secrets,
      {
        ID: (secret) => secret.secretID,
        NAME: (secret) => secret.name,
        VERSION: (secret) => String(secret.currentVersion),
        HOSTS: ({ hosts }) => (hosts.length === 0 ? '-' : hosts.join(',')),
        UPDATED: (secret) => secret.updatedAt,
      },
      args,
    );
  },
});
