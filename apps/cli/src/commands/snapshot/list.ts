import { defineCommand } from 'citty';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ApiSnapshot } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listSnapshots = defineCommand({
  meta: {
    name: 'list',
    description: 'List the snapshots of the team',
    examples: ['soulbox snapshot list', 'soulbox snapshot list --sandbox ID --json'],
  },
  args: {
    sandbox: { type: 'string', description: 'Only those of this sandbox', valueHint: 'ID' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const snapshots = await listAll<ApiSnapshot>(api, { path: '/snapshots', query: { sandboxID: args.sandbox } });
    printList(snapshots, { ID: ({ snapshotID }) => snapshotID, NAMES: ({ names }) => names.join(', ') }, args);
  },
});
