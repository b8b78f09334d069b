import { AsyncLocalStorage } from 'node:async_hooks';
import type { Logger } from '@soulbox/base';
import type { FastifyRequest } from 'fastify';

/**
 * The caller of the current request. Every line that is logged for the request names it, including lines after the
 * response.
 */
export interface Actor {
  readonly requestId: string;
  /** Absent: the request belongs to no trace. */
  readonly traceId?: string;
  readonly address: string;
  /** Id of the API key. Undefined until it is known, and for the operator's token. */
  by: string | undefined;
}

const actors = new AsyncLocalStorage<Actor>();

/** Continues as this actor. */
export function actAs(actor: Actor, handle: () => void): void {
  actors.run(actor, handle);
}

/** Records the key of the current actor when it becomes known. */
export function noteKey(keyId: string): void {
  const actor = actors.getStore();
  if (actor !== undefined) actor.by = keyId;
}

/**
 * The address of the client. The gateway sets it and replaces a value that the client may have sent. A unix socket has
 * no address.
 */
export function addressOf(request: FastifyRequest): string {
  const forwarded = request.headers['x-forwarded-for'];
  return typeof forwarded === 'string' ? forwarded : (request.socket.remoteAddress ?? '');
}

/** The same logger, with the actor added to its lines. Fields of a line take precedence. */
export function nameActors(logger: Logger): Logger {
  const withActor = (fields: object): object => {
    const actor = actors.getStore();
    return actor === undefined ? fields : { ...actor, ...fields };
  };
  return {
    debug: (fields, message) => logger.debug(withActor(fields), message),
    info: (fields, message) => logger.info(withActor(fields), message),
    warn: (fields, message) => logger.warn(withActor(fields), message),
    error: (fields, message) => logger.error(withActor(fields), message),
    child: (fields) => nameActors(logger.child(fields)),
  };
}
