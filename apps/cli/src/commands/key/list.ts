import { defineCommand } from 'citty';
import { resolveFolders } from '../../config.ts';
import { printList } from '../../output/print-list.ts';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { shownKey } from './shown-key.ts';

export const listKeys = defineCommand({
  meta: { name: 'list', description: 'List the API keys, without their values' },
  args: { team: teamArg, 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const keys = (await records.apiKeys.list(team.id)).map(shownKey);
    printList(
      keys,
      {
        ID: (key) => key.id,
        NAME: (key) => key.name,
        KEY: (key) => key.key,
        SCOPES: (key) => key.scopes.join(','),
        TEMPLATES: (key) => key.templates?.join(',') ?? '',
        ISOLATION: (key) => key.isolation ?? '',
        CREATED: (key) => key.createdAt,
        EXPIRES: (key) => key.expiresAt ?? 'never',
        'LAST USED': (key) => key.lastUsedAt ?? 'never',
      },
      args,
    );
  },
});
