import { defineCommand } from 'citty';
import { withWait } from '../../output/wait.ts';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiFunction } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg, parseNumberFlag } from '../../command-line/shared-args.ts';
import { functionArg, pathOf } from './shared.ts';

export const rollbackFunction = defineCommand({
  meta: {
    name: 'rollback',
    description: 'Switch a function to an earlier version',
    examples: ['soulbox function rollback hello', 'soulbox function rollback hello --version 3'],
  },
  args: {
    function: functionArg,
    version: { type: 'string', description: 'The version (default: the one before the active one)', valueHint: 'N' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const version = parseNumberFlag('version', args.version, 1, 999_999_999);
    const api = await findApi(args['data-dir']);
    const call = { method: 'POST', path: pathOf(args.function, '/rollback'), body: { version } } as const;
    const { body } = await withWait(`Switching ${args.function}`, callApi<ApiFunction>(api, call));
    console.log(args.json === true ? JSON.stringify(body) : `${body.name} now serves version ${body.activeVersion}.`);
  },
});
