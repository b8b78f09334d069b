import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import { renderTable } from '../../output/table.ts';
import { apiDataDirArg, jsonArg } from '../../program/shared-args.ts';
import type { ApiFunction } from './shared.ts';

export const listFunctions = defineCommand({
  meta: { name: 'list', description: 'List the functions of the team' },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const { body: functions } = await callApi<readonly ApiFunction[]>(api, { path: '/functions' });
    if (args.json === true) {
      console.log(JSON.stringify(functions));
      return;
    }
    const rows = functions.map(({ name, kind, activeVersion, state, updatedAt }) => [
      ...[name, kind, String(activeVersion), state, updatedAt],
    ]);
    console.log(renderTable(['NAME', 'KIND', 'VERSION', 'STATE', 'DEPLOYED'], rows));
  },
});
