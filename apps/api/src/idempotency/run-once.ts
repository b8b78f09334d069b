import { randomUUID } from 'node:crypto';
import { errorFromUnknown, SoulBoxError } from '@soulbox/base';
import { headers, httpStatusFromError } from '@soulbox/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import { requestedIsolation } from '../http/requested-isolation.ts';
import { idempotencyKeptMs } from '../limits.ts';
import { fingerprintOf } from './fingerprint.ts';
import { readIdempotencyKey } from './read-key.ts';

export interface Repeatable<T> {
  /** Makes it. What it makes can be found by the id, and a second call with the same id does not make another. */
  readonly make: (creationId: string) => Promise<T>;
  /**
   * What was made by the id; undefined if nothing was, or if it is not known whether that is all. Throws if it is gone.
   * `isDone`: the first request has ended, so nothing can be missing.
   */
  readonly find: (creationId: string, isDone: boolean) => Promise<T | undefined>;
  /**
   * The second request of something that takes two, so that both may have the same key: a client that sends fixed
   * headers cannot change it in between.
   */
  readonly isSecond?: boolean;
  /** For the error when it is gone without a trace. */
  readonly gone: () => SoulBoxError;
}

const inProgressSeconds = 1;

/**
 * Runs a request that has an `Idempotency-Key` at most once: a repetition gets what the first one made, also if the
 * server was killed before it could respond. Nothing of the answer is stored; it is built again. Without the header, the
 * id is empty and every call makes something. Throws `idempotency_key_reused`, `request_in_progress`, `limit_exceeded`
 * and the errors of `work`. A key whose request failed with a status below 500 is free again. After any other failure
 * something may have been made, so the key stays and a repetition continues.
 */
export async function runOnce<T>(
  context: ApiContext,
  request: FastifyRequest,
  reply: FastifyReply,
  work: Repeatable<T>,
): Promise<T> {
  const sent = readIdempotencyKey(request);
  if (sent === undefined) return await work.make('');
  const teamId = callerOf(request).team.id;
  const key = `${senderOf(request)}${work.isSecond === true ? ':second' : ''} ${sent}`;
  const { idempotentUnderway: underway } = context;
  const id = `${teamId} ${key}`;
  const isUnderway = underway.has(id);
  underway.add(id);
  try {
    const { creationId, isNew, isDone } = await begin(context, request, { teamId, key, isUnderway });
    const found = isNew ? undefined : await work.find(creationId, isDone);
    if (found !== undefined) void reply.header(headers.idempotentReplayed, 'true');
    else if (isDone) throw work.gone();
    const answer =
      found ?? (await (isNew ? makeFirst(context, { teamId, key }, work, creationId) : work.make(creationId)));
    if (!isDone) await context.records.idempotency.finish(teamId, key);
    return answer;
  } finally {
    if (!isUnderway) underway.delete(id);
  }
}

/**
 * Whose the key is: that of an API key or of a person, whatever session they use. Members of a team must not get each
 * other's answers, in which tokens are. No id contains a space.
 */
function senderOf(request: FastifyRequest): string {
  return request.person?.user.id ?? callerOf(request).keyId;
}

interface Attempt {
  readonly teamId: string;
  readonly key: string;
}

async function begin(
  { records, clock, config, fingerprintKey }: ApiContext,
  request: FastifyRequest,
  { teamId, key, isUnderway }: Attempt & { readonly isUnderway: boolean },
): Promise<{ creationId: string; isNew: boolean; isDone: boolean }> {
  const now = clock.now();
  const creationId = randomUUID();
  const fingerprint = fingerprintOf(request, requestedIsolation(request, {}), fingerprintKey);
  const keptUntil = now + idempotencyKeptMs;
  const limit = config.teamIdempotencyLimit;
  const begun = await records.idempotency.begin({ teamId, key, fingerprint, creationId, keptUntil }, now, limit);
  if (begun.is === 'other')
    throw new SoulBoxError(
      'idempotency_key_reused',
      'The Idempotency-Key was used for another request. Use a new key.',
    );
  if (begun.is === 'full')
    throw new SoulBoxError(
      'limit_exceeded',
      `The team has reached the maximum number of idempotency keys (${limit}). They are kept for 24 hours.`,
      { retryAfterSeconds: Math.max(1, Math.ceil((begun.freeAt - now) / 1000)) },
    );
  if (isUnderway) {
    // The first request has failed in this moment; its key must not stay taken.
    if (begun.is === 'new') await records.idempotency.abandon(teamId, key);
    throw new SoulBoxError(
      'request_in_progress',
      'A request with this Idempotency-Key is still in progress. Repeat it in a moment.',
      { retryAfterSeconds: inProgressSeconds },
    );
  }
  if (begun.is === 'new') return { creationId, isNew: true, isDone: false };
  return { creationId: begun.creationId, isNew: false, isDone: begun.isDone };
}

/** Only the first attempt can know that nothing was made. */
async function makeFirst<T>(
  { records }: ApiContext,
  { teamId, key }: Attempt,
  work: Repeatable<T>,
  creationId: string,
): Promise<T> {
  try {
    return await work.make(creationId);
  } catch (thrown) {
    if (httpStatusFromError(errorFromUnknown(thrown)) < 500) await records.idempotency.abandon(teamId, key);
    throw thrown;
  }
}
