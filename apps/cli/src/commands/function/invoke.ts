import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiFunctionAnswer } from '../../api/wire.ts';
import { exitCodes } from '../../command-line/exit-codes.ts';
import { pairsFlag } from '../../command-line/repeated-flags.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { functionArg, pathOf } from './shared.ts';

export const invokeFunction = defineCommand({
  meta: {
    name: 'invoke',
    description: 'Send a request to a function and print the response; fails for status 400 and above',
    examples: [
      'soulbox function invoke hello',
      `soulbox function invoke hello '/orders?id=7' --data '{"count":2}' --header 'content-type: application/json'`,
    ],
  },
  args: {
    function: functionArg,
    path: { type: 'positional', required: false, description: 'Path with query (default /)' },
    method: { type: 'string', description: 'Method (default GET, with --data POST)', valueHint: 'METHOD' },
    data: { type: 'string', description: 'Body of the request', valueHint: 'TEXT' },
    header: { type: 'string', description: 'A header; may be repeated', valueHint: 'NAME:VALUE' },
    'data-dir': apiDataDirArg,
    json: jsonArg,
  },
  async run({ args, rawArgs }) {
    const api = await findApi(args['data-dir']);
    const body = {
      method: args.method ?? (args.data === undefined ? 'GET' : 'POST'),
      path: args.path ?? '/',
      headers: pairsFlag(rawArgs, 'header', ':'),
      body: args.data,
    };
    const { body: answer } = await callApi<ApiFunctionAnswer>(api, {
      method: 'POST',
      path: pathOf(args.function, '/invoke'),
      body,
    });
    if (args.json === true) console.log(JSON.stringify(answer));
    else process.stdout.write(Buffer.from(answer.body, answer.encoding));
    return answer.status < 400 ? exitCodes.ok : exitCodes.failed;
  },
});
