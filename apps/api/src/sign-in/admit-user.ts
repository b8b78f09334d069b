import { randomUUID } from 'node:crypto';
import { SoulBoxError } from '@soulbox/base';
import { higherRole } from '@soulbox/storage';
import type { MembershipChange, MembershipRecord, UserRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import type { Identity } from '../people/claims.ts';
import { deedFor } from './tell-teams.ts';

/** Users of a server, if the first sign-in creates them. */
const usersMax = 10_000;

const verbs = { add: 'member.add', change: 'member.change', remove: 'member.remove' } as const;

/**
 * The user for a person whom the provider has confirmed, with the memberships that follow from their groups. Throws
 * `sign_in_refused` for a person who is no user.
 */
export async function admitUser(
  request: FastifyRequest,
  context: ApiContext,
  identity: Identity,
): Promise<UserRecord['id']> {
  const { records, clock } = context;
  const { issuer, subject, email, name, groups } = identity;
  const user = await findOrCreate(context, identity);
  const isNoted = await records.users.noteSignIn(user, { issuer, subject, email, name, at: clock.now() });
  if (!isNoted) throw new SoulBoxError('sign_in_refused', 'This user was changed in this moment. Sign in again.');
  await followGroups(request, context, user, await rolesByGroups(context, groups));
  return user;
}

async function findOrCreate({ records, config, clock }: ApiContext, identity: Identity): Promise<string> {
  const { issuer, subject, email, name } = identity;
  const known = await records.users.findBySubject(issuer, subject);
  if (known !== undefined) return known.id;
  const added = email === '' ? undefined : await records.users.findUnbound(email);
  if (added !== undefined) return added.id;
  if (!config.oidcCreateUsers)
    throw new SoulBoxError('sign_in_refused', 'You have no account here. Ask the operator of this server for one.');
  const user = { id: randomUUID(), issuer, subject, email, name, createdAt: clock.now(), lastSignInAt: undefined };
  if ((await records.users.create(user, usersMax)) !== 'created')
    throw new SoulBoxError('sign_in_refused', 'The account could not be created. Ask the operator of this server.');
  return user.id;
}

type Wanted = Pick<MembershipRecord, 'teamId' | 'role'>;

async function rolesByGroups({ records, config }: ApiContext, groups: readonly string[]): Promise<Wanted[]> {
  const teams = await records.teams.list();
  const wanted = new Map<string, Wanted>();
  for (const { group, team, role } of config.oidcGroupRoles) {
    const match = teams.find(({ id, name }) => id === team || name === team);
    if (match === undefined || !groups.includes(group)) continue;
    const other = wanted.get(match.id)?.role ?? role;
    wanted.set(match.id, { teamId: match.id, role: higherRole(role, other) });
  }
  return [...wanted.values()];
}

/** Replaces the memberships by groups, each change together with its record. */
async function followGroups(
  request: FastifyRequest,
  { records, trail, clock }: ApiContext,
  userId: string,
  wanted: readonly Wanted[],
): Promise<void> {
  const present = (await records.memberships.listOfUser(userId)).filter(({ source }) => source === 'group');
  const teams = new Set([...present, ...wanted].map(({ teamId }) => teamId));
  const notes = new Map<string, Awaited<ReturnType<typeof trail.note>>>();
  const nameOf = ({ teamId, change }: MembershipChange): string => `${change} ${teamId}`;
  for (const teamId of teams) {
    for (const change of ['add', 'change', 'remove'] as const) {
      const target = { kind: 'user', id: userId };
      const deed = deedFor(request, teamId, { action: verbs[change], userId, rule: 'group', target });
      notes.set(nameOf({ teamId, change }), await trail.note(deed, { status: 'success', code: 200 }));
    }
  }
  await records.memberships.replaceGroups(userId, wanted, clock.now(), (change) => {
    const note = notes.get(nameOf(change));
    if (note === undefined)
      throw new SoulBoxError('sign_in_refused', 'The memberships were changed in this moment. Sign in again.');
    return note();
  });
}
