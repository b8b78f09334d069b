import { defineCommand } from 'citty';
import { SoulBoxError } from '@soulbox/base';
import { environment } from '../../config.ts';
import { jsonArg } from '../../command-line/shared-args.ts';
import { UsageError } from '../../command-line/usage-error.ts';
import { keyFrom, writeCredentials } from '../../login/credentials.ts';
import { askPerson } from './device-flow.ts';
import { showPerson } from './person.ts';
import type { PersonSession } from './person.ts';

const local = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

export const login = defineCommand({
  meta: {
    name: 'login',
    description: 'Sign in as a person, with a browser on this or any other machine',
    examples: [
      'soulbox auth login https://soulbox.example.com',
      'soulbox auth login https://soulbox.example.com --team blue',
    ],
  },
  args: {
    url: { type: 'positional', required: false, description: 'URL of the server (default: E2B_API_URL)' },
    team: { type: 'string', description: 'The team for which commands act (default: the first)', valueHint: 'TEAM' },
    json: jsonArg,
  },
  async run({ args }) {
    const url = parseServer(args.url ?? environment['E2B_API_URL'] ?? '');
    const token = await askPerson(url, ({ page, code, link }) => {
      console.error(`Open ${page} in a browser and type the code ${code}\n\n  ${link}\n\nWaiting ...`);
    });
    const person = await showPerson(url, token);
    const team = findTeam(person, args.team);
    const { email, id } = person.user;
    const credentials = { url, token, teamId: team.teamID, email: email === '' ? id : email };
    await writeCredentials(credentials);
    const facts = { url, email: credentials.email, team: team.name, role: team.role, expiresAt: person.expiresAt };
    if (args.json === true) console.log(JSON.stringify({ ...facts, key: keyFrom(credentials).reveal() }));
    else console.log(`Signed in as ${facts.email}, ${team.role} in the team ${team.name}, until ${person.expiresAt}.`);
  },
});

/** A token is not sent readable over a network. */
function parseServer(text: string): string {
  if (text === '') throw new UsageError('Name the server, or set E2B_API_URL.');
  if (!URL.canParse(text)) throw new UsageError(`${JSON.stringify(text)} is not a URL.`);
  const { protocol, hostname, origin } = new URL(text);
  if (protocol !== 'https:' && !(protocol === 'http:' && local.test(hostname)))
    throw new UsageError('The URL must be https, or http on this machine.');
  return origin;
}

function findTeam({ teams, user }: PersonSession, wanted: string | undefined): PersonSession['teams'][number] {
  const team = teams.find(({ teamID, name }) => wanted === undefined || teamID === wanted || name === wanted);
  if (team !== undefined) return team;
  const who = user.email === '' ? user.id : user.email;
  throw new SoulBoxError(
    'team_not_found',
    wanted === undefined
      ? `${who} is not a member of a team yet. Ask the operator for "soulbox team member add".`
      : `${who} is not a member of a team ${JSON.stringify(wanted)}.`,
  );
}
