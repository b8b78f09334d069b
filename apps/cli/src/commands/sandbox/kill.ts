import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg, sandboxArg } from '../../command-line/shared-args.ts';

export const killSandbox = defineCommand({
  meta: {
    name: 'kill',
    description: 'Kill a running or paused sandbox and delete its data',
    examples: ['soulbox sandbox kill ID', 'soulbox sandbox kill ID --json'],
  },
  args: { sandbox: sandboxArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    await callApi(api, { method: 'DELETE', path: `/sandboxes/${encodeURIComponent(args.sandbox)}` });
    console.log(
      args.json === true ? JSON.stringify({ sandboxID: args.sandbox, killed: true }) : `Killed ${args.sandbox}.`,
    );
  },
});
