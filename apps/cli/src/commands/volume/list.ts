import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiVolume } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { printList } from '../../output/print-list.ts';

export const listVolumes = defineCommand({
  meta: { name: 'list', description: 'List the volumes of the team', examples: ['soulbox volume list'] },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { body } = await callApi<ApiVolume[]>(await findApi(args['data-dir']), { path: '/volumes' });
    printList(
      body,
      {
        ID: ({ volumeID }) => volumeID,
        NAME: ({ name }) => name,
        'SIZE MB': ({ sizeMb }) => String(sizeMb ?? '-'),
        FROM: ({ from, readOnly }) => (from === null ? '-' : `${from}${readOnly ? ' (read-only)' : ''}`),
        CREATED: ({ createdAt }) => createdAt,
      },
      args,
    );
  },
});
