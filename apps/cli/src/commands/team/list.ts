import { defineCommand } from 'citty';
import { findNamedApi } from '../../api/connection.ts';
import { resolveFolders } from '../../config.ts';
import { printList } from '../../output/print-list.ts';
import { jsonArg, recordsDataDirArg } from '../../command-line/shared-args.ts';
import { listTeamsOfApi } from './list-of-api.ts';

export const listTeams = defineCommand({
  meta: {
    name: 'list',
    description: 'List the teams with their resources',
    examples: ['soulbox team list', 'soulbox team list --json'],
  },
  args: { 'data-dir': recordsDataDirArg, json: jsonArg },
  async run({ args }) {
    const api = args['data-dir'] === undefined ? await findNamedApi() : undefined;
    if (api !== undefined) {
      await listTeamsOfApi(api, args);
      return;
    }
    const { openRecords } = await import('../../records/open-records.ts');
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const teams = await Promise.all(
      (await records.teams.list()).map(async ({ id, name, isDefault, createdAt }) => ({
        ...{ id, name, isDefault, createdAt: new Date(createdAt).toISOString() },
        keys: (await records.apiKeys.list(id)).length,
        ...(await records.teams.readHoldings(id)),
      })),
    );
    printList(
      teams,
      {
        ID: (team) => team.id,
        NAME: (team) => team.name,
        CREATED: (team) => team.createdAt,
        KEYS: (team) => team.keys,
        SANDBOXES: (team) => team.sandboxes,
        SNAPSHOTS: (team) => team.snapshots,
        TEMPLATES: (team) => team.templates,
        FUNCTIONS: (team) => team.functions,
        VOLUMES: (team) => team.volumes,
      },
      args,
    );
  },
});
