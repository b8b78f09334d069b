import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';

/**
 * Aborted with an `unauthorized` error when the caller's key is revoked or expires before the response is complete. For
 * what goes on for a while; other requests are completed. Never aborted for a request without a key.
 */
export function keySignalOf(request: FastifyRequest, reply: FastifyReply, { keyWatch }: ApiContext): AbortSignal {
  const { caller } = request;
  if (caller === null || caller === undefined) return new AbortController().signal;
  const watched = keyWatch.watch({ teamId: caller.team.id, keyId: caller.keyId });
  reply.raw.once('close', () => watched[Symbol.dispose]());
  return watched.signal;
}
