import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const revokeToken = defineCommand({
  meta: {
    name: 'revoke',
    description: 'Revoke a personal token at once',
    examples: ['soulbox token revoke TOKEN_ID', 'soulbox token revoke TOKEN_ID --json'],
  },
  args: {
    token: { type: 'positional', required: true, description: 'Its id, as in `soulbox token list`' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const path = `/personal-tokens/${encodeURIComponent(args.token)}`;
    await callApi(await findApi(args['data-dir']), { method: 'DELETE', path });
    console.log(args.json === true ? JSON.stringify({ token: args.token, revoked: true }) : `Revoked ${args.token}.`);
  },
});
