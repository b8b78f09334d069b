import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiFunction } from '../../api/wire.ts';
import { printList } from '../../output/print-list.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';

export const listFunctions = defineCommand({
  meta: { name: 'list', description: 'List the functions of the team', examples: ['soulbox function list'] },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const { body: functions } = await callApi<readonly ApiFunction[]>(api, { path: '/functions' });
    printList(
      functions,
      {
        NAME: (deployed) => deployed.name,
        KIND: (deployed) => deployed.kind,
        VERSION: (deployed) => deployed.activeVersion,
        STATE: (deployed) => deployed.state,
        DEPLOYED: (deployed) => deployed.updatedAt,
      },
      args,
    );
  },
});
