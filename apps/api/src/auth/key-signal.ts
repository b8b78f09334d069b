import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import { whyEnded } from '../keys/key-watch.ts';
import type { OpenKey } from '../keys/key-watch.ts';
import type { Caller } from './caller.ts';
import { whyPersonEnded } from './why-person-ended.ts';

/**
 * Aborted with an `unauthorized` error when the caller's key is revoked or expires before the response is complete. For
 * what goes on for a while; other requests are completed. Never aborted for a request without a key. For a person, it is
 * aborted when the session, the token or the membership ends, and when the role loses a scope; for a signed URL, also
 * when its signing key ends.
 */
export function keySignalOf(request: FastifyRequest, reply: FastifyReply, context: ApiContext): AbortSignal {
  const { caller } = request;
  if (caller === null || caller === undefined) return new AbortController().signal;
  // Nobody closes it again: a watch would never end.
  if (isClosed(reply)) return AbortSignal.abort(new Error('The client has disconnected.'));
  const watched = context.keyWatch.watch(openKeyOf(request, caller, context));
  reply.raw.once('close', () => watched[Symbol.dispose]());
  return watched.signal;
}

/** Whether the response has ended or the client has left. Then there is no further `close` event. */
export function isClosed({ raw }: FastifyReply): boolean {
  return raw.closed || raw.destroyed;
}

function openKeyOf({ person, signedBy }: FastifyRequest, caller: Caller, context: ApiContext): OpenKey {
  const { team, keyId, scopes } = caller;
  if (signedBy)
    return {
      id: [signedBy.keyId, keyId, ...scopes].join(' '),
      findEnd: async () => await context.signing.findEnd(signedBy, scopes),
    };
  if (person)
    return {
      id: [keyId, team.id, ...scopes].join(' '),
      findEnd: async () => await whyPersonEnded(person, caller, context),
    };
  const { records, clock } = context;
  return { id: keyId, findEnd: async () => whyEnded(await records.apiKeys.find(team.id, keyId), clock.now()) };
}
