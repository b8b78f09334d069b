import { SoulBoxError } from '@soulbox/base';
import type { ApiContext } from '../context.ts';
import type { Caller } from './caller.ts';
import { isLive } from '../keys/is-live.ts';
import type { Person } from './person.ts';
import { scopesOfRole } from './scopes.ts';

/** Why a person may no longer do what they began to do for a team. Undefined: they may. */
export async function whyPersonEnded(
  person: Person,
  { team, scopes }: Caller,
  context: ApiContext,
): Promise<SoulBoxError | undefined> {
  const { records } = context;
  if (!(await isValid(person, context)) || (await records.users.find(person.user.id)) === undefined)
    return new SoulBoxError('unauthorized', `Unauthorized, the ${person.via} has ended.`);
  const role = await records.memberships.findRole(person.user.id, team.id);
  const now = role === undefined ? [] : scopesOfRole(role);
  if (scopes.some((scope) => !now.includes(scope)))
    return new SoulBoxError('unauthorized', 'Unauthorized, your role in the team was taken or lowered.');
  return undefined;
}

async function isValid(person: Person, { records, clock, config }: ApiContext): Promise<boolean> {
  if (person.via === 'session') {
    const session = await records.sessions.find(person.session.id);
    return session !== undefined && isLive(session, clock.now(), config.sessionIdleMinutes * 60_000);
  }
  const token = await records.personalTokens.find(person.tokenId);
  return token !== undefined && token.expiresAt > clock.now();
}
