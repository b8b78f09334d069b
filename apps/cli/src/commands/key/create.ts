import { defineCommand } from 'citty';
import { createApiKey } from '@soulbox/storage';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, teamArg } from '../../program/shared-args.ts';
import { UsageError } from '../../program/usage-error.ts';
import { getTeam } from '../team/find-team.ts';
import { openRecords } from './open-records.ts';

// Shown in lists, so no control characters.
const nameForm = /^[^\p{Cc}]{1,100}$/u;

export const createKey = defineCommand({
  meta: { name: 'create', description: 'Make an API key. This is the only time its value is shown' },
  args: {
    name: { type: 'positional', required: true, description: 'What it is for, such as ci or laptop' },
    team: teamArg,
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    if (!nameForm.test(args.name))
      throw new UsageError('NAME must have 1 to 100 characters, none of them a control character.');
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: true });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const { key, record } = await createApiKey(records, team, args.name);
    if (args.json === true) console.log(JSON.stringify({ id: record.id, name: record.name, key: key.reveal() }));
    else console.log(key.reveal());
  },
});
