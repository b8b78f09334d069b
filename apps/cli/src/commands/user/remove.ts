import { defineCommand } from 'citty';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { getTeam } from '../../records/get-team.ts';
import { getUser } from './get-user.ts';
import { userArg } from './user-arg.ts';

export const removeUser = defineCommand({
  meta: {
    name: 'remove',
    description: 'Remove a person with their memberships, sessions and personal tokens, at once',
    examples: ['sudo soulbox user remove ada@example.com', 'sudo soulbox user remove USER_ID'],
  },
  args: { user: userArg, 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const { id, email } = await getUser(records, args.user);
    const own = (await records.memberships.listOfUser(id)).map(({ teamId }) => teamId);
    const teams = new Set(own.length === 0 ? [(await getTeam(records, undefined)).id] : own);
    const notes = [...teams].map((teamId) =>
      operatorNote({ action: 'user.remove', teamId, target: { kind: 'user', id } }),
    );
    const removed = await records.users.remove(id, notes);
    if (args.json === true) console.log(JSON.stringify({ id, email, removed }));
    else console.log(`Removed ${email === '' ? id : email}. Sessions and personal tokens ended.`);
  },
});
