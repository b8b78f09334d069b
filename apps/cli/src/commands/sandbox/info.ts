import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSandboxDetail } from '../../api/wire.ts';
import { renderFacts } from '../../output/facts.ts';
import { apiDataDirArg, jsonArg, sandboxArg } from '../../command-line/shared-args.ts';

export const showSandbox = defineCommand({
  meta: {
    name: 'info',
    description: 'Show what the API knows about a sandbox, without its tokens',
    examples: ['soulbox sandbox info ID', 'soulbox sandbox info ID --json'],
  },
  args: { sandbox: sandboxArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}`;
    const { body } = await callApi<ApiSandboxDetail>(api, { path });
    // The token must not appear in terminals and build logs; `curl` with the key returns it.
    const { envdAccessToken: _, ...facts } = body;
    console.log(args.json === true ? JSON.stringify(facts) : renderFacts(facts));
  },
});
