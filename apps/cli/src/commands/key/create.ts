import { defineCommand } from 'citty';
import { isolations } from '@soulbox/contract';
import { createApiKey } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, parseChoiceFlag, teamArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';

// Names are shown in lists, so they have no control characters.
const nameForm = /^[^\p{Cc}]{1,100}$/u;

export const createKey = defineCommand({
  meta: { name: 'create', description: 'Create an API key; its value is shown only this time' },
  args: {
    name: { type: 'positional', required: true, description: 'Its purpose, such as ci or laptop' },
    team: teamArg,
    isolation: {
      type: 'string',
      description: 'Isolation of sandboxes and builds that do not specify one',
      valueHint: isolations.join('|'),
    },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if (!nameForm.test(args.name))
      throw new UsageError('NAME must have 1 to 100 characters and no control characters.');
    const isolation = parseChoiceFlag('isolation', args.isolation, isolations);
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: true });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const { key, record } = await createApiKey(records, team, args.name, isolation, ({ id }) =>
      operatorNote({ action: 'key.create', teamId: team.id, target: { kind: 'key', id } }),
    );
    if (args.json === true) console.log(JSON.stringify({ id: record.id, name: record.name, key: key.reveal() }));
    else console.log(key.reveal());
  },
});
