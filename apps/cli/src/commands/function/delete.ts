import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { apiDataDirArg, jsonArg } from '../../program/shared-args.ts';
import { functionArg, pathOf } from './shared.ts';

export const deleteFunction = defineCommand({
  meta: { name: 'delete', description: 'Delete a function with its versions; key-value namespaces stay' },
  args: { function: functionArg, 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    await callApi(api, { method: 'DELETE', path: pathOf(args.function) });
    console.log(
      args.json === true ? JSON.stringify({ name: args.function, deleted: true }) : `Deleted ${args.function}.`,
    );
  },
});
