import { defineCommand } from 'citty';
import { resolveFolders } from '../../config.ts';
import { printList } from '../../output/print-list.ts';
import { dataDirArg, jsonArg, teamArg } from '../../command-line/shared-args.ts';
import { getTeam } from '../../records/get-team.ts';
import { openRecords } from '../../records/open-records.ts';

export const listMembers = defineCommand({
  meta: {
    name: 'list',
    description: 'List the members of a team with their roles',
    examples: ['sudo soulbox team member list --team blue'],
  },
  args: { team: teamArg, 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const team = await getTeam(records, args.team);
    const members = await Promise.all(
      (await records.memberships.listOfTeam(team.id)).map(async ({ userId, role, source }) => ({
        ...{ user: userId, email: (await records.users.find(userId))?.email ?? '', role, source },
      })),
    );
    printList(
      members,
      {
        USER: (member) => member.user,
        EMAIL: (member) => member.email,
        ROLE: (member) => member.role,
        BY: (member) => member.source,
      },
      args,
    );
  },
});
