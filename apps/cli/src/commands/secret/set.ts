import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSecret } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { hostArg, hostsOf, pathOf, secretArg } from './read-value.ts';

export const setSecret = defineCommand({
  meta: {
    name: 'set',
    description: 'Change the hosts to which rules may send a secret',
    examples: ["soulbox secret set api --host 'api.example.com,*.example.org'", 'soulbox secret set api --any-host'],
  },
  args: {
    secret: secretArg,
    host: hostArg,
    'any-host': { type: 'boolean', description: 'Name no hosts' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if ((args.host === undefined) === (args['any-host'] !== true))
      throw new UsageError('Give either --host HOSTS or --any-host.');
    const body = { hosts: args.host === undefined ? [] : hostsOf(args.host) };
    const api = await findApi(args['data-dir']);
    const { body: secret } = await callApi<ApiSecret>(api, { method: 'PATCH', path: pathOf(args.secret), body });
    if (args.json === true) console.log(JSON.stringify(secret));
    else if (secret.hosts.length === 0) console.log(`${secret.name} names no hosts.`);
    else console.log(`${secret.name} is sent to ${secret.hosts.join(', ')} only.`);
  },
});
