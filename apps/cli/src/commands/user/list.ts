import { defineCommand } from 'citty';
import { resolveFolders } from '../../config.ts';
import { printList } from '../../output/print-list.ts';
import { dataDirArg, jsonArg } from '../../command-line/shared-args.ts';
import { openRecords } from '../../records/open-records.ts';

export const listUsers = defineCommand({
  meta: {
    name: 'list',
    description: 'List the people who may sign in, with their teams',
    examples: ['sudo soulbox user list'],
  },
  args: { 'data-dir': dataDirArg, json: jsonArg },
  async run({ args }) {
    const { records } = await openRecords(resolveFolders(args['data-dir']).dataDirectory, { adds: false });
    await using _ = records;
    const names = new Map((await records.teams.list()).map(({ id, name }) => [id, name]));
    const users = await Promise.all(
      (await records.users.list()).map(async ({ createdAt, lastSignInAt, ...user }) => ({
        ...user,
        createdAt: new Date(createdAt).toISOString(),
        lastSignInAt: lastSignInAt === undefined ? null : new Date(lastSignInAt).toISOString(),
        teams: (await records.memberships.listOfUser(user.id)).map(({ teamId, role, source }) => ({
          ...{ id: teamId, name: names.get(teamId) ?? teamId, role, source },
        })),
      })),
    );
    printList(
      users,
      {
        ID: (user) => user.id,
        EMAIL: (user) => user.email,
        NAME: (user) => user.name,
        'LAST SIGN-IN': (user) => user.lastSignInAt ?? 'never',
        TEAMS: (user) => user.teams.map(({ name, role }) => `${name}:${role}`).join(' '),
      },
      args,
    );
  },
});
