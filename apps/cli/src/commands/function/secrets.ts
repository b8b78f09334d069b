import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiFunction } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { secretsOf } from './secrets-of.ts';
import { functionArg, pathOf } from './shared.ts';

export const setFunctionSecrets = defineCommand({
  meta: {
    name: 'set-secrets',
    description: 'Add or replace secrets of a function without a new version; the active one restarts with them',
    examples: [
      'soulbox function set-secrets hello API_TOKEN',
      'soulbox function set-secrets hello API_TOKEN,DATABASE_URL',
    ],
  },
  args: {
    function: functionArg,
    secrets: {
      type: 'positional',
      required: true,
      description: 'Variables of this shell, separated by commas: their names are those of the secrets',
    },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const names = args.secrets.split(',').map((name) => name.trim());
    if (names.includes('')) throw new UsageError('SECRETS contains an empty name.');
    const call = {
      method: 'PUT',
      path: pathOf(args.function, '/secrets'),
      body: { secrets: secretsOf(names) },
    } as const;
    const { body } = await callApi<ApiFunction>(await findApi(args['data-dir']), call);
    console.log(args.json === true ? JSON.stringify(body) : `${body.name} has the secrets ${body.secrets.join(', ')}.`);
  },
});

export const deleteFunctionSecret = defineCommand({
  meta: {
    name: 'delete-secret',
    description: 'Delete a secret of a function; the active version restarts without it',
    examples: [
      'soulbox function delete-secret hello API_TOKEN',
      'soulbox function delete-secret hello API_TOKEN --json',
    ],
  },
  args: {
    function: functionArg,
    secret: { type: 'positional', required: true, description: 'Name of the secret' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const path = pathOf(args.function, `/secrets/${encodeURIComponent(args.secret)}`);
    await callApi(await findApi(args['data-dir']), { method: 'DELETE', path });
    if (args.json === true)
      console.log(JSON.stringify({ function: args.function, secret: args.secret, deleted: true }));
    else console.log(`Deleted ${args.secret} of ${args.function}.`);
  },
});
