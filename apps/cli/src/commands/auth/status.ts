import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { jsonArg } from '../../command-line/shared-args.ts';
import { readCredentials } from '../../login/credentials.ts';
import { showPerson } from './person.ts';

export const status = defineCommand({
  meta: {
    name: 'status',
    description: 'Show who is signed in, at which server, with which teams',
    examples: ['soulbox auth status'],
  },
  args: { json: jsonArg },
  async run({ args }) {
    const credentials = await readCredentials();
    if (credentials === undefined)
      throw new SoulBoxError('unauthorized', 'Not signed in. Sign in with "soulbox auth login URL".');
    const { url, token, teamId } = credentials;
    const { user, teams, expiresAt } = await showPerson(url, token);
    if (args.json === true) {
      console.log(JSON.stringify({ url, user, teams, teamID: teamId, expiresAt }));
      return;
    }
    console.log(`Signed in at ${url} as ${user.email === '' ? user.id : user.email}, until ${expiresAt}.`);
    for (const { teamID, name, role } of teams)
      console.log(`${teamID === teamId ? '*' : ' '} ${name} (${teamID}): ${role}`);
  },
});
