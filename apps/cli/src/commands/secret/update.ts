import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiSecret } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { pathOf, readValue, secretArg, valueFileArg } from './read-value.ts';

export const updateSecret = defineCommand({
  meta: {
    name: 'update',
    description: 'Give a secret a new version, read from standard input or a file',
    examples: ['pass show api | soulbox secret update api', 'soulbox secret update api --value-file token'],
  },
  args: { secret: secretArg, 'value-file': valueFileArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const body = { value: await readValue(args['value-file']) };
    const api = await findApi(args['data-dir']);
    const { body: secret } = await callApi<ApiSecret>(api, { method: 'POST', path: pathOf(args.secret), body });
    if (args.json === true) console.log(JSON.stringify(secret));
    else console.log(`${secret.name} has version ${secret.currentVersion}.`);
  },
});
