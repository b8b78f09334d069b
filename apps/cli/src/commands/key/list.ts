import { defineCommand } from 'citty';
import { resolveFolders } from '../../config.ts';
import { renderTable } from '../../output/table.ts';
import { dataDirArg, jsonArg, teamArg } from '../../program/shared-args.ts';
import { getTeam } from '../team/find-team.ts';
import { openRecords } from './open-records.ts';

export const listKeys = defineCommand({
  meta: { name: 'list', description: 'List the API keys, without their values' },
  args: { team: teamArg, 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const keys = (await records.apiKeys.list(team.id)).map((key) => ({
      id: key.id,
      name: key.name,
      key: `${key.mask.prefix}${key.mask.maskedValuePrefix}...${key.mask.maskedValueSuffix}`,
      isolation: key.isolation === '' ? null : key.isolation,
      createdAt: new Date(key.createdAt).toISOString(),
      lastUsedAt: key.lastUsedAt === undefined ? null : new Date(key.lastUsedAt).toISOString(),
    }));
    if (args.json === true) console.log(JSON.stringify(keys));
    else {
      const rows = keys.map((key) => [
        key.id,
        key.name,
        key.key,
        key.isolation ?? '',
        key.createdAt,
        key.lastUsedAt ?? 'never',
      ]);
      console.log(renderTable(['ID', 'NAME', 'KEY', 'ISOLATION', 'CREATED', 'LAST USED'], rows));
    }
  },
});
