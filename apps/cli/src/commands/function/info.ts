import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiFunction } from '../../api/wire.ts';
import { renderFacts } from '../../output/facts.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { functionArg, pathOf } from './shared.ts';

export const showFunction = defineCommand({
  meta: {
    name: 'info',
    description: 'Show a function with its variables, limits and the names of its secrets',
    examples: ['soulbox function info hello', 'soulbox function info hello --json'],
  },
  args: { function: functionArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const { body } = await callApi<ApiFunction>(await findApi(args['data-dir']), { path: pathOf(args.function) });
    console.log(args.json === true ? JSON.stringify(body) : renderFacts(body));
  },
});
