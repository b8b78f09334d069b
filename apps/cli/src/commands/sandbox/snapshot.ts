import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSnapshot } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, sandboxArg } from '../../command-line/shared-args.ts';

export const snapshotSandbox = defineCommand({
  meta: { name: 'snapshot', description: 'Create a snapshot of a sandbox; prints its id' },
  args: {
    sandbox: sandboxArg,
    name: { type: 'string', description: 'Its name: a-z, 0-9, - and _, optionally with :TAG', valueHint: 'NAME' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}/snapshots`;
    const { body } = await callApi<ApiSnapshot>(api, { method: 'POST', path, body: { name: args.name } });
    console.log(args.json === true ? JSON.stringify(body) : body.snapshotID);
  },
});
