import { defineCommand } from 'citty';
import { resolveFolders } from '../../config.ts';
import { renderTable } from '../../output/table.ts';
import { dataDirArg, jsonArg } from '../../program/shared-args.ts';
import { openRecords } from '../key/open-records.ts';

export const listTeams = defineCommand({
  meta: { name: 'list', description: 'List the teams, and how much each has' },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const teams = await Promise.all(
      (await records.teams.list()).map(async ({ id, name, isDefault, createdAt }) => ({
        ...{ id, name, isDefault, createdAt: new Date(createdAt).toISOString() },
        keys: (await records.apiKeys.list(id)).length,
        ...(await records.teams.readHoldings(id)),
      })),
    );
    if (args.json === true) console.log(JSON.stringify(teams));
    else {
      const rows = teams.map((team) => [
        ...[team.id, team.name, team.createdAt],
        ...[team.keys, team.sandboxes, team.snapshots, team.templates, team.functions].map(String),
      ]);
      const headings = ['ID', 'NAME', 'CREATED', 'KEYS', 'SANDBOXES', 'SNAPSHOTS', 'TEMPLATES', 'FUNCTIONS'];
      console.log(renderTable(headings, rows));
    }
  },
});
