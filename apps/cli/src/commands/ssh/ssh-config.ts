import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { listAll } from '../../api/pages.ts';
import type { ApiSshServer, ListedApiSandbox } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

/** The name under which the key of a server is known, whatever the address of the server. */
const aliasOf = (host: string, port: number): string => `soulbox-${host}-${port}`;

export const sshConfig = defineCommand({
  meta: {
    name: 'ssh-config',
    description: 'Print the lines for ~/.ssh/config and known_hosts with which ssh(1) reaches sandboxes',
    examples: ['soulbox ssh-config >> ~/.ssh/config', 'soulbox ssh-config ID'],
  },
  args: {
    sandbox: {
      type: 'positional',
      required: false,
      description: 'Id of a sandbox (default: all that run or are paused)',
    },
    'known-hosts': { type: 'boolean', description: 'Print the line for ~/.ssh/known_hosts instead' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const { body: server } = await callApi<ApiSshServer>(api, { path: '/ssh' });
    const { port, hostKey } = server;
    const host = new URL(api.url).hostname.replace(/^\[|\]$/g, '');
    const alias = aliasOf(host, port);
    const knownHosts = `${alias} ${hostKey}`;
    if (args['known-hosts'] === true) {
      console.log(args.json === true ? JSON.stringify({ knownHosts }) : knownHosts);
      return;
    }
    const ids =
      args.sandbox === undefined
        ? (await listAll<ListedApiSandbox>(api, { path: '/v2/sandboxes' })).map(({ sandboxID }) => sandboxID)
        : [args.sandbox];
    if (args.json === true) console.log(JSON.stringify({ host, port, hostKey, hostKeyAlias: alias, sandboxes: ids }));
    else console.log(ids.map((id) => hostLines(id, { host, port, alias })).join('\n\n'));
  },
});

function hostLines(id: string, { host, port, alias }: { host: string; port: number; alias: string }): string {
  return [`Host ${id}`, `HostName ${host}`, `Port ${port}`, `User ${id}`, `HostKeyAlias ${alias}`].join('\n  ');
}
