import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, teamArg } from '../../program/shared-args.ts';
import { getTeam } from '../team/find-team.ts';
import { openRecords } from './open-records.ts';

export const revokeKey = defineCommand({
  meta: { name: 'revoke', description: 'Make an API key invalid at once' },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, or its name when only one has it' },
    team: teamArg,
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const matches = (await records.apiKeys.list(team.id)).filter((key) => key.id === args.key || key.name === args.key);
    const [match] = matches;
    if (match === undefined) {
      throw new SoulBoxError('key_not_found', `No API key has the id or name ${JSON.stringify(args.key)}.`);
    }
    if (matches.length > 1) {
      throw new SoulBoxError(
        'bad_request',
        `${matches.length} keys are named ${JSON.stringify(args.key)}: revoke by id.`,
      );
    }
    await records.apiKeys.remove(team.id, match.id);
    if (args.json === true) console.log(JSON.stringify({ id: match.id, name: match.name, revoked: true }));
    else console.log(`Revoked ${match.name} (${match.id}).`);
  },
});
