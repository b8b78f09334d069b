import { SoulBoxError } from '@soulbox/base';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { addressOf } from '../actor.ts';
import type { ApiContext } from '../context.ts';

/** A request with a key or a personal token. */
export interface Presented {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly context: ApiContext;
  /** The key or the token as sent. */
  readonly key: string;
}

/**
 * Looks up what a request presents, unless its address has presented too much that was wrong. `find` returns undefined
 * for what is not known, and may throw `unauthorized` for what has ended. Throws `unauthorized`, or `limit_exceeded`
 * with `Retry-After`.
 */
export async function findThrottled<T>(
  { request, reply, context, key }: Presented,
  find: () => Promise<T | undefined>,
): Promise<T> {
  const { signIns } = context;
  const attempt = { address: addressOf(request), key };
  const waitSeconds = signIns.check(attempt);
  if (waitSeconds !== undefined) {
    void reply.header('retry-after', String(waitSeconds));
    throw new SoulBoxError('limit_exceeded', `Too many wrong API keys. Retry in ${waitSeconds} s.`);
  }
  try {
    const found = await find();
    if (found !== undefined) {
      signIns.succeeded(attempt);
      return found;
    }
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'unauthorized') signIns.failed(attempt);
    throw error;
  }
  signIns.failed(attempt);
  throw wrongKey(context);
}

/** Also for tokens of the operator. */
export function wrongKey({ wrongKeys }: Pick<ApiContext, 'wrongKeys'>): SoulBoxError {
  if (!wrongKeys.spend())
    return new SoulBoxError('limit_exceeded', 'Too many wrong API keys. Retry later.', { retryAfterSeconds: 1 });
  return new SoulBoxError('unauthorized', 'Unauthorized, the API key is not valid.');
}
