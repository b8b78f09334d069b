import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSandboxDetail } from '../../api/wire.ts';
import { networkArgs, readNetworkFlags } from '../../command-line/network-args.ts';
import { apiDataDirArg, sandboxArg } from '../../command-line/shared-args.ts';

export const sandboxNetwork = defineCommand({
  meta: {
    name: 'network',
    description: 'Print the network policy of a sandbox, or replace it by the one that the flags describe',
    examples: [
      "soulbox sandbox network ID --closed --allow 'api.example.com,*.pypi.org'",
      'soulbox sandbox network ID --open',
    ],
  },
  args: {
    sandbox: sandboxArg,
    ...networkArgs,
    open: { type: 'boolean', description: 'Remove the policy: everything may be reached' },
    'data-dir': apiDataDirArg,
  },
  async run({ args }) {
    const path = `/sandboxes/${encodeURIComponent(args.sandbox)}`;
    const body = args.open === true ? {} : await readNetworkFlags(args);
    const api = await findApi(args['data-dir']);
    if (body !== undefined) {
      await callApi(api, { method: 'PUT', path: `${path}/network`, body });
      console.log(`The new network policy of ${args.sandbox} is in effect.`);
      return;
    }
    const { body: detail } = await callApi<ApiSandboxDetail>(api, { path });
    const { allowInternetAccess, network } = detail;
    const access = typeof allowInternetAccess === 'boolean' ? { allow_internet_access: allowInternetAccess } : {};
    console.log(JSON.stringify({ ...access, ...network }, undefined, 2));
  },
});
