import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg, parseNumber, sandboxArg } from '../../command-line/shared-args.ts';

export const setSandboxTimeout = defineCommand({
  meta: {
    name: 'timeout',
    description: 'Set when a running sandbox reaches its timeout, later or earlier than before',
    examples: ['soulbox sandbox timeout ID 3600', 'soulbox sandbox timeout ID 0'],
  },
  args: {
    sandbox: sandboxArg,
    seconds: { type: 'positional', required: true, description: 'Seconds from now; 0 ends it now' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const timeout = parseNumber('SECONDS', args.seconds, 0, 999_999_999);
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}/timeout`;
    await callApi(api, { method: 'POST', path, body: { timeout } });
    if (args.json === true) console.log(JSON.stringify({ sandboxID: args.sandbox, timeout }));
    else console.log(`${args.sandbox} reaches its timeout in ${timeout} s.`);
  },
});
