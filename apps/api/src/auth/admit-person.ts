import { SoulBoxError } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import { tokenPrefix } from '../people/people-secrets.ts';
import type { AuthRule } from './auth-rule.ts';
import { callerFromPerson } from './caller.ts';
import type { Caller } from './caller.ts';
import { findBySession, findByToken } from './find-person.ts';
import type { PresentedPerson } from './find-person.ts';
import { credentialId } from './person.ts';
import { refuseOtherSites } from './refuse-other-sites.ts';
import { findThrottled } from './throttle.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** A page for a browser, to which links may lead. Its form, if it has one, contains the token of the session. */
    page?: boolean;
  }
}

/** Routes that a person can call without a team. */
const teamless: readonly AuthRule[] = ['person', 'session'];
/** Routes of the operator, which no person can call: not even an admin of the team. */
const ofOperator: readonly AuthRule[] = ['operator', 'admin'];

/**
 * Sets `request.person`, and the caller if the route acts for a team. False if the request has no credential of a
 * person, or the cookie of a session that has ended. Throws `forbidden`, `bad_request`, and for a token that is not
 * valid the same as for a wrong key.
 */
export async function admitPerson(
  request: FastifyRequest,
  reply: FastifyReply,
  context: ApiContext,
  rule: AuthRule,
): Promise<boolean> {
  if (ofOperator.includes(rule)) return false;
  const presented = await findPresented(request, reply, context, rule);
  if (presented === undefined) return false;
  request.person = presented.person;
  const isList = rule === 'key-or-bearer' && teamOf(request, presented) === undefined;
  if (!teamless.includes(rule) && !isList) request.caller = await callerForTeam(request, presented, context);
  return true;
}

async function findPresented(
  request: FastifyRequest,
  reply: FastifyReply,
  context: ApiContext,
  rule: AuthRule,
): Promise<PresentedPerson | undefined> {
  const text = rule === 'session' ? undefined : sentToken(request);
  if (text !== undefined) {
    if (!text.startsWith(tokenPrefix)) return undefined;
    return await findThrottled(
      { request, reply, context, key: text.slice(0, tokenPrefix.length + 40) },
      async () => await findByToken(text, context),
    );
  }
  const person = await findBySession(request, context);
  if (person?.via !== 'session' || context.people === undefined) return undefined;
  const { page = false } = request.routeOptions.config;
  refuseOtherSites(request, context.people, person.session, { sendsForm: page, isPage: page });
  return { person, teamId: undefined };
}

/** `X-API-Key` comes first, as for keys. A request with either is none of a browser's session. */
function sentToken(request: FastifyRequest): string | undefined {
  const key = request.headers[headers.apiKey];
  if (typeof key === 'string' && key !== '') return key;
  const { authorization } = request.headers;
  return authorization === undefined ? undefined : (/^Bearer +(\S+)$/i.exec(authorization)?.[1] ?? '');
}

function teamOf(request: FastifyRequest, { teamId }: PresentedPerson): string | undefined {
  const header = request.headers[headers.teamId];
  return teamId ?? (typeof header === 'string' && header !== '' ? header : undefined);
}

/**
 * The person as a caller for one team: that of the token, or of `X-Team-ID`. Throws `forbidden` if they are no member,
 * with the same words as for a team that does not exist.
 */
async function callerForTeam(
  request: FastifyRequest,
  { person, teamId: named }: PresentedPerson,
  { records }: ApiContext,
): Promise<Caller> {
  const header = request.headers[headers.teamId];
  const sent = typeof header === 'string' && header !== '' ? header : undefined;
  if (named !== undefined && sent !== undefined && named !== sent)
    throw new SoulBoxError('bad_request', 'X-Team-ID names another team than the token.');
  const teamId = named ?? sent;
  if (teamId === undefined)
    throw new SoulBoxError('bad_request', 'A person must name the team of the request in X-Team-ID (see GET /teams).');
  const role = await records.memberships.findRole(person.user.id, teamId);
  const team = role === undefined ? undefined : await records.teams.find(teamId);
  if (role === undefined || team === undefined)
    throw new SoulBoxError('forbidden', `You are not a member of a team ${JSON.stringify(teamId.slice(0, 64))}.`);
  const expiresAt = person.via === 'session' ? person.session.expiresAt : person.expiresAt;
  return callerFromPerson(team, { via: person.via, id: credentialId(person), role, expiresAt });
}
