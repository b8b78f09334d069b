import { AsyncLocalStorage } from 'node:async_hooks';
import type { Logger } from '@soulbox/base';
import type { FastifyRequest } from 'fastify';

/** Who is behind the request that is worked on. Told in every line that is logged on the way, also by what goes on after the answer. */
export interface Actor {
  readonly requestId: string;
  readonly address: string;
  /** Id of the API key; undefined while it is not known, and for the operator's token. */
  by: string | undefined;
}

const actors = new AsyncLocalStorage<Actor>();

/** Goes on as this actor. */
export function actAs(actor: Actor, goOn: () => void): void {
  actors.run(actor, goOn);
}

/** The key of the present actor is known now. */
export function noteKey(keyId: string): void {
  const actor = actors.getStore();
  if (actor !== undefined) actor.by = keyId;
}

/** The gateway says who asked it, in place of what the client may have sent. A unix socket has no address. */
export function addressOf(request: FastifyRequest): string {
  const forwarded = request.headers['x-forwarded-for'];
  return typeof forwarded === 'string' ? forwarded : (request.socket.remoteAddress ?? '');
}

/** The same logger, whose lines name the actor. Its own fields win. */
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
