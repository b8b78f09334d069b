import { defineCommand } from 'citty';
import { roles } from '@soulbox/contract';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, parseChoiceFlag, teamArg } from '../../command-line/shared-args.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { getUser } from './get-user.ts';
import { putMember } from './put-member.ts';
import { userArg } from './user-arg.ts';

export const addMember = defineCommand({
  meta: {
    name: 'add',
    description: 'Make a user a member of a team, or change the role; it counts at once',
    examples: [
      'sudo soulbox team member add ada@example.com --team blue --role viewer',
      'sudo soulbox team member add ada@example.com --team blue --role admin',
    ],
  },
  args: {
    user: userArg,
    team: teamArg,
    role: { type: 'string', description: 'The role in the team (default developer)', valueHint: roles.join('|') },
    'data-dir': dataDirArg,
    json: jsonArg,
  },
  async run({ args }) {
    const role = parseChoiceFlag('role', args.role, roles) ?? 'developer';
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: true });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const user = await getUser(records, args.user);
    await putMember(records, user.id, team.id, role);
    // A role by a group of the provider can be higher.
    const counts = await records.memberships.findRole(user.id, team.id);
    if (args.json === true) console.log(JSON.stringify({ user: user.id, team: team.id, role, counts }));
    else if (counts === role) console.log(`${args.user} is ${role} in the team ${team.name}.`);
    else
      console.log(
        `${args.user} is ${role} in the team ${team.name}, but ${String(counts)} by a group of the provider.`,
      );
  },
});
