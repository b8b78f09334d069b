import { randomUUID } from 'node:crypto';
import { Secret, SoulBoxError } from '@soulbox/base';
import type { PersonalTokenRecord } from '@soulbox/storage';
import type { FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import { peopleOf } from '../sign-in/people-of.ts';
import { notesForTeams } from '../sign-in/tell-teams.ts';

/** Tokens of a user that have not expired. */
const tokensOfUserMax = 50;
export const tokenDaysMax = 365;
export const tokenDaysDefault = 30;

export interface NewToken {
  readonly userId: string;
  readonly name: string;
  readonly days: number;
  /** How the person who asks for it is known, such as `session`. */
  readonly rule: string;
  readonly isOfProgram: boolean;
  /** The session that allows it. */
  readonly sessionId: string;
}

/**
 * Creates a token of a user. Its value is in the result and nowhere else. Throws `limit_exceeded`, and `unauthorized` if
 * the session has ended: this is decided in one step with the creation, so that a sign-out leaves no token behind.
 */
export async function createPersonalToken(
  request: FastifyRequest,
  context: ApiContext,
  { userId, name, days, rule, isOfProgram, sessionId }: NewToken,
): Promise<{ readonly token: Secret; readonly record: PersonalTokenRecord }> {
  const { records, clock, logger } = context;
  const { value, hash } = peopleOf(context).secrets.createToken();
  const now = clock.now();
  const record: PersonalTokenRecord = {
    ...{ id: randomUUID(), hash, userId, name, suffix: value.slice(-4), isOfProgram, createdAt: now },
    ...{ expiresAt: now + days * 24 * 3600 * 1000, lastUsedAt: undefined },
  };
  const deed = { action: 'token.create', userId, rule, target: { kind: 'token', id: record.id } };
  const notes = await notesForTeams(request, context, deed);
  const outcome = await records.personalTokens.create(record, tokensOfUserMax, sessionId, notes);
  if (outcome === 'session_ended') throw new SoulBoxError('unauthorized', 'Unauthorized, the session has ended.');
  if (outcome === 'limit_reached')
    throw new SoulBoxError('limit_exceeded', `You have ${tokensOfUserMax} personal tokens. Revoke some.`);
  logger.info({ user: userId, tokenId: record.id }, 'personal token created');
  return { token: new Secret(value), record };
}
