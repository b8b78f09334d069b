import { defineCommand } from 'citty';
import { callApi } from '../../api/call.ts';
import { findApi } from '../../api/connection.ts';
import type { ApiTeamUsage } from '../../api/wire.ts';
import { apiDataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { printList } from '../../output/print-list.ts';
import { findOwnTeam } from './own-team.ts';

export const showTeamUsage = defineCommand({
  meta: {
    name: 'usage',
    description: 'Show what the team of the API key uses of its limits',
    examples: ['soulbox team usage'],
  },
  args: { 'data-dir': apiDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = await findApi(args['data-dir']);
    const path = `/teams/${encodeURIComponent((await findOwnTeam(api)).teamID)}/usage`;
    const usage = (await callApi<ApiTeamUsage>(api, { path })).body;
    if (args.json === true) {
      console.log(JSON.stringify(usage));
      return;
    }
    const rows = Object.entries(usage).map(([name, { used, limit }]) => ({ name, used, limit }));
    printList(
      rows,
      {
        RESOURCE: ({ name }) => name,
        USED: ({ used }) => (Number.isInteger(used) ? used : used.toFixed(1)),
        LIMIT: ({ limit }) => limit ?? 'none',
      },
      args,
    );
  },
});
