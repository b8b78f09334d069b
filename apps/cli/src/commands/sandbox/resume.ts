import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSandbox } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag, sandboxArg, timeoutArg } from '../../command-line/shared-args.ts';
import { withWait } from '../../output/wait.ts';

export const resumeSandbox = defineCommand({
  meta: {
    name: 'resume',
    description:
      'Resume a paused sandbox; for a running one, --timeout can only extend its life (see `sandbox timeout`)',
    examples: ['soulbox sandbox resume ID', 'soulbox sandbox resume ID --timeout 3600'],
  },
  args: { sandbox: sandboxArg, timeout: timeoutArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const timeout = parseNumberFlag('timeout', args.timeout, 1, 999_999_999);
    const api = await findApi(args['data-dir']);
    const path = `/v2/sandboxes/${encodeURIComponent(args.sandbox)}/connect`;
    const resuming = callApi<ApiSandbox>(api, { method: 'POST', path, body: { timeout } });
    const { status, body } = await withWait(`Resuming ${args.sandbox}`, resuming);
    // 200 means that it was already running.
    const resumed = status === 201;
    if (args.json === true) console.log(JSON.stringify({ sandboxID: body.sandboxID, resumed }));
    else console.log(resumed ? `Resumed ${body.sandboxID}.` : `${body.sandboxID} was already running.`);
  },
});
