import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';

export const revokeKey = defineCommand({
  meta: { name: 'revoke', description: 'Invalidate an API key immediately' },
  args: {
    key: { type: 'positional', required: true, description: 'Its id, or its name if that is unique' },
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
      throw new SoulBoxError(
        'key_not_found',
        `API key ${JSON.stringify(args.key)} was not found. List the keys with "soulbox key list".`,
      );
    }
    if (matches.length > 1) {
      throw new SoulBoxError(
        'bad_request',
        `${matches.length} keys are named ${JSON.stringify(args.key)}. Use the id.`,
      );
    }
    const target = { kind: 'key', id: match.id };
    await records.apiKeys.remove(team.id, match.id, operatorNote({ action: 'key.revoke', teamId: team.id, target }));
    if (args.json === true) console.log(JSON.stringify({ id: match.id, name: match.name, revoked: true }));
    else console.log(`Revoked ${match.name} (${match.id}).`);
  },
});

/** The same under the name that other nouns use. */
export const deleteKey = { ...revokeKey, meta: { name: 'delete', description: 'The same as revoke' } };
