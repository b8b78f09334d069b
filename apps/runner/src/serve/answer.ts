import type { ConnectError, HandlerContext } from '@connectrpc/connect';
import { errorFromUnknown } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract';

type Handle<Request, Response> = (request: Request) => Promise<Response>;
type HandleStream<Request, Event> = (request: Request, handler: HandlerContext) => AsyncIterable<Event>;

/** Wraps the handlers of the runner's routes. It translates their errors, and logs those that are not the caller's. */
export interface Answers {
  readonly answer: <Request, Response>(handle: Handle<Request, Response>) => Handle<Request, Response>;
  readonly stream: <Request, Event>(handle: HandleStream<Request, Event>) => HandleStream<Request, Event>;
}

export function createAnswers(logger: Logger): Answers {
  const translated = (thrown: unknown): ConnectError => {
    const error = errorFromUnknown(thrown);
    if (error.code === 'internal') logger.error({ err: thrown }, 'runner call failed');
    return connectErrorFromError(error);
  };
  return {
    answer: (handle) => async (request) => {
      try {
        return await handle(request);
      } catch (thrown) {
        throw translated(thrown);
      }
    },
    stream: (handle) =>
      async function* (request, handler) {
        try {
          yield* handle(request, handler);
        } catch (thrown) {
          throw translated(thrown);
        }
      },
  };
}
