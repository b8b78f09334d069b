import { randomId } from '@soulbox/base';
import type { Reason } from '@soulbox/base';
import { headers } from '@soulbox/contract';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiContext } from '../context.ts';
import { addressOf } from '../actor.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** E2B's `error_code` for reasons that this route throws. */
    errorCodes?: Partial<Record<Reason, string>>;
    /** The `code` of an error's body is its reason, not the status. */
    hasNamedErrors?: boolean;
  }
}

/** The form of request ids that we accept from a proxy. The id is logged and returned to the caller. */
const requestIdForm = /^[A-Za-z0-9_-]{8,64}$/;

export function requestIdFrom(header: string | string[] | undefined): string {
  return typeof header === 'string' && requestIdForm.test(header) ? header : randomId(16);
}

export function startRequest(request: FastifyRequest, reply: FastifyReply): void {
  void reply.header(headers.requestId, request.id);
}

const changing: readonly string[] = ['POST', 'PUT', 'PATCH', 'DELETE'];

/**
 * Logs one line for each request: the caller and the route. The line has the route pattern instead of the path, which
 * may contain text that the caller typed by mistake. Successful changes also log the path parameters.
 */
export function logRequest(request: FastifyRequest, reply: FastifyReply, context: ApiContext): void {
  const route = request.routeOptions.url ?? 'none';
  const hasChanged = changing.includes(request.method) && reply.statusCode < 400;
  const durationMs = Math.round(reply.elapsedTime * 100) / 100;
  if (request.isFollowed !== true)
    context.durations.observe(request.method, route, reply.statusCode, durationMs / 1000);
  context.logger.info(
    {
      requestId: request.id,
      method: request.method,
      route,
      status: reply.statusCode,
      durationMs,
      address: addressOf(request),
      ...(request.caller ? { team: request.caller.team.id, by: request.caller.keyId } : {}),
      ...(request.person ? { user: request.person.user.id } : {}),
      ...(hasChanged ? { target: request.params } : {}),
    },
    'request',
  );
}
