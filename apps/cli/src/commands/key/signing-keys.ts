import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSigningKey } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { printList } from '../../output/print-list.ts';

export const listSigningKeys = defineCommand({
  meta: {
    name: 'list-signing',
    description: 'List the keys that sign URLs of the team, newest first',
    examples: ['soulbox key list-signing'],
  },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const call = { path: '/signing-keys' };
    const { body: keys } = await callApi<readonly ApiSigningKey[]>(await findApi(args['data-dir']), call);
    printList(
      keys,
      { ID: ({ id }) => id, CREATED: ({ createdAt }) => createdAt, ENDS: ({ endsAt }) => endsAt ?? 'never' },
      args,
    );
  },
});

export const endSigningKey = defineCommand({
  meta: {
    name: 'end-signing',
    description: 'End a key that signs URLs now, and all URLs that it signed',
    examples: ['soulbox key end-signing KEY_ID', 'soulbox key end-signing KEY_ID --json'],
  },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, as in `soulbox key list-signing`' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const path = `/signing-keys/${encodeURIComponent(args.key)}`;
    await callApi(await findApi(args['data-dir']), { method: 'DELETE', path });
    console.log(args.json === true ? JSON.stringify({ key: args.key, ended: true }) : `Ended ${args.key}.`);
  },
});
