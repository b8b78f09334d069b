import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { resolveFolders } from '../../config.ts';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';
import { operatorNote } from '../../records/operator-note.ts';
import { getUser } from './get-user.ts';
import { userArg } from './user-arg.ts';

export const removeMember = defineCommand({
  meta: {
    name: 'remove',
    description: 'End the membership of a user in a team, at once',
    examples: [
      'sudo soulbox team member remove ada@example.com --team blue',
      'sudo soulbox team member remove ada@example.com --team blue --json',
    ],
  },
  args: { user: userArg, team: teamArg, 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const user = await getUser(records, args.user);
    const note = operatorNote({ action: 'member.remove', teamId: team.id, target: { kind: 'user', id: user.id } });
    if (!(await records.memberships.remove(user.id, team.id, note))) {
      const isByGroup = (await records.memberships.findRole(user.id, team.id)) !== undefined;
      throw new SoulBoxError(
        'user_not_found',
        isByGroup
          ? `${args.user} is a member of the team ${team.name} by a group of the provider. Change the group, or SOULBOX_OIDC_GROUP_ROLES.`
          : `${args.user} is not a member of the team ${team.name}.`,
      );
    }
    const remaining = await records.memberships.findRole(user.id, team.id);
    if (args.json === true) console.log(JSON.stringify({ user: user.id, team: team.id, remaining: remaining ?? null }));
    else if (remaining === undefined) console.log(`${args.user} is no member of the team ${team.name} any more.`);
    else console.log(`${args.user} is still ${remaining} in the team ${team.name}, by a group of the provider.`);
  },
});
