import { constantTimeEqual, Secret } from '@soulbox/base';
import type { UserRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import { isLive } from '../keys/is-live.ts';
import type { People } from '../people/people.ts';
import { readCookie } from './own-cookies.ts';
import type { Person } from './person.ts';

/** A personal token, possibly with the team for which it is used, as `GET /teams` gives it to clients that send keys. */
const tokenForm = /^(?<token>sbp_[0-9a-f]{40})(?:_(?<team>[A-Za-z0-9-]{1,64}))?$/;
/** Minimum interval between writes for a session or a token in constant use. Milliseconds. */
const touchEveryMs = 60_000;

/** A person, and the team that a token names. */
export interface PresentedPerson {
  readonly person: Person;
  readonly teamId: string | undefined;
}

/** The person with this token. Undefined for a token that is not valid. */
export async function findByToken(presented: string, context: ApiContext): Promise<PresentedPerson | undefined> {
  const { people, records, clock } = context;
  const { token = '', team } = tokenForm.exec(presented)?.groups ?? {};
  if (people === undefined || token === '') return undefined;
  const hash = people.secrets.hashOf('token', token);
  const record = await records.personalTokens.findByHash(hash);
  // The index may compare hashes in variable time. The decision is this comparison, which takes constant time.
  if (record === undefined || !constantTimeEqual(record.hash, hash) || record.expiresAt <= clock.now())
    return undefined;
  const user = await findUser(record.userId, context, people);
  if (user === undefined) return undefined;
  const now = clock.now();
  if (record.lastUsedAt === undefined || now - record.lastUsedAt >= touchEveryMs)
    await noteUse(context, async () => await records.personalTokens.touch(record.id, now));
  return {
    person: { user, via: 'token', tokenId: record.id, token: new Secret(token), expiresAt: record.expiresAt },
    teamId: team,
  };
}

/** The person with a live session in this browser. */
export async function findBySession(request: FastifyRequest, context: ApiContext): Promise<Person | undefined> {
  const { people, records, clock, config } = context;
  if (people === undefined) return undefined;
  const value = readCookie(request, 'session', people);
  if (value === undefined) return undefined;
  const hash = people.secrets.hashOf('session', value);
  const session = await records.sessions.findByHash(hash);
  if (session === undefined || !constantTimeEqual(session.hash, hash)) return undefined;
  const now = clock.now();
  if (!isLive(session, now, config.sessionIdleMinutes * 60_000)) return undefined;
  const user = await findUser(session.userId, context, people);
  if (user === undefined) return undefined;
  if (now - session.seenAt >= touchEveryMs)
    await noteUse(context, async () => await records.sessions.touch(session.id, now));
  return { user, via: 'session', session };
}

/** Whether the user has this session, and it has not ended. */
export async function isSessionOf(context: ApiContext, sessionId: string, userId: string): Promise<boolean> {
  const { people, records, clock, config } = context;
  const session = await records.sessions.find(sessionId);
  if (people === undefined || session?.userId !== userId) return false;
  const isAlive = isLive(session, clock.now(), config.sessionIdleMinutes * 60_000);
  return isAlive && (await findUser(userId, context, people)) !== undefined;
}

/** A user of another provider than the configured one is nobody. */
async function findUser(id: string, { records }: ApiContext, { provider }: People): Promise<UserRecord | undefined> {
  const user = await records.users.find(id);
  return user?.issuer === provider.issuer ? user : undefined;
}

/** A failure is no reason to refuse the person: the disk may be full. */
async function noteUse({ logger }: ApiContext, note: () => Promise<void>): Promise<void> {
  try {
    await note();
  } catch (err) {
    logger.warn({ err }, 'use of a session or a personal token could not be recorded');
  }
}
