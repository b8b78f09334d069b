import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg, sandboxArg } from '../../command-line/shared-args.ts';
import { withWait } from '../../output/wait.ts';

export const pauseSandbox = defineCommand({
  meta: {
    name: 'pause',
    description: 'Pause a sandbox and save its memory and processes',
    examples: ['soulbox sandbox pause ID', 'soulbox sandbox pause ID --disk-only'],
  },
  args: {
    sandbox: sandboxArg,
    'disk-only': { type: 'boolean', description: 'Save its files only; a resume then boots it with these files' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}/pause`;
    const pausing = callApi(api, { method: 'POST', path, body: { memory: args['disk-only'] !== true } });
    await withWait(`Pausing ${args.sandbox}`, pausing);
    console.log(
      args.json === true ? JSON.stringify({ sandboxID: args.sandbox, paused: true }) : `Paused ${args.sandbox}.`,
    );
  },
});
