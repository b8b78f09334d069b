import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiLearnedPolicy } from '../../api/wire.ts';
import { apiDataDirArg, sandboxArg } from '../../command-line/shared-args.ts';

export const learnedNetwork = defineCommand({
  meta: {
    name: 'learned',
    description: 'Print the network policy that allows what a sandbox has reached, for --policy',
    examples: ['soulbox sandbox learned ID', 'soulbox sandbox learned ID > policy.json'],
  },
  args: { sandbox: sandboxArg, 'data-dir': apiDataDirArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}/network/learned`;
    const { body } = await callApi<ApiLearnedPolicy>(api, { path });
    const { connections, isComplete, ...policy } = body;
    console.error(`Written from ${connections} connections.`);
    if (!isComplete) console.error('Warning: there were more destinations than a policy can have.');
    console.log(JSON.stringify(policy, undefined, 2));
  },
});
