import { randomUUID } from 'node:crypto';
import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { roles } from '@soulbox/contract';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, parseChoiceFlag } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { putMember } from './put-member.ts';

const emailForm = /^[^\s@\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,189}$/u;
/** The same limit as for users whom a sign-in creates. */
const usersMax = 10_000;

export const addUser = defineCommand({
  meta: {
    name: 'add',
    description: 'Let a person sign in, by their verified address at the provider; prints the id',
    examples: [
      'sudo soulbox user add ada@example.com',
      'sudo soulbox user add ada@example.com --team blue --role viewer',
    ],
  },
  args: {
    email: { type: 'positional', required: true, description: 'The address of the person' },
    team: { type: 'string', description: 'Also make the person a member of this team', valueHint: 'TEAM' },
    role: { type: 'string', description: 'The role in the team (default developer)', valueHint: roles.join('|') },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const email = args.email.toLowerCase();
    if (!emailForm.test(email)) throw new UsageError('EMAIL must be an address such as ada@example.com.');
    const role = parseChoiceFlag('role', args.role, roles);
    if (role !== undefined && args.team === undefined) throw new UsageError('--role is only useful with --team.');
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: true });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const user = {
      ...{ id: randomUUID(), issuer: '', subject: '', email, name: '', createdAt: Date.now(), lastSignInAt: undefined },
    };
    // A user belongs to no team, so that the default team's log has the record, unless the command names another.
    const note = operatorNote({ action: 'user.create', teamId: team.id, target: { kind: 'user', id: user.id } });
    const outcome = await records.users.create(user, usersMax, note);
    if (outcome === 'user_exists')
      throw new SoulBoxError('user_exists', `${email} was added before and has not signed in yet.`);
    if (outcome === 'limit_reached')
      throw new SoulBoxError('limit_exceeded', `There are ${usersMax} users, which is the limit. Remove some.`);
    if (args.team !== undefined) await putMember(records, user.id, team.id, role ?? 'developer');
    console.log(args.json === true ? JSON.stringify({ id: user.id, email }) : user.id);
  },
});
