import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSecret } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { hostArg, hostsOf, readValue, valueFileArg } from './read-value.ts';

export const createSecret = defineCommand({
  meta: {
    name: 'create',
    description: 'Create a secret; its value is read from standard input or a file',
    examples: [
      'pass show api | soulbox secret create api --host api.example.com',
      'soulbox secret create api --value-file token',
    ],
  },
  args: {
    name: { type: 'positional', required: true, description: 'Its name: letters, digits, _ and -' },
    'value-file': valueFileArg,
    host: hostArg,
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const hosts = args.host === undefined ? {} : { hosts: hostsOf(args.host) };
    const body = { name: args.name, value: await readValue(args['value-file']), ...hosts };
    const api = await findApi(args['data-dir']);
    const { body: secret } = await callApi<ApiSecret>(api, { method: 'POST', path: '/secrets', body });
    console.log(args.json === true ? JSON.stringify(secret) : secret.secretID);
  },
});
