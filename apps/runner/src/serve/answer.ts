import type { ConnectError, HandlerContext } from '@connectrpc/connect';
import { create } from '@bufbuild/protobuf';
import { collectOperations, errorFromUnknown } from '@soulbox/base';
import type { Logger, MeasuredOperation } from '@soulbox/base';
import { connectErrorFromError } from '@soulbox/contract/connect-errors';
import { OperationTimeSchema } from '@soulbox/contract/runner';
import type { OperationTime } from '@soulbox/contract/runner';

type Handle<Request, Response> = (request: Request, handler: HandlerContext) => Promise<Response>;
type HandleStream<Request, Event> = (request: Request, handler: HandlerContext) => AsyncIterable<Event>;

/** Wraps the handlers of the runner's routes. It translates their errors, and logs those that are not the caller's. */
export interface Answers {
  readonly answer: <Request, Response>(handle: Handle<Request, Response>) => Handle<Request, Response>;
  /** The same, and the answer says how long its operations took. */
  readonly timed: <Request, Response>(
    handle: Handle<Request, Response>,
  ) => Handle<Request, Response & { operations: OperationTime[] }>;
  readonly stream: <Request, Event>(handle: HandleStream<Request, Event>) => HandleStream<Request, Event>;
}

export function createAnswers(logger: Logger): Answers {
  const translated = (thrown: unknown): ConnectError => {
    const error = errorFromUnknown(thrown);
    if (error.code === 'internal') logger.error({ err: thrown }, 'runner call failed');
    return connectErrorFromError(error);
  };
  const answer: Answers['answer'] = (handle) => async (request, handler) => {
    try {
      return await handle(request, handler);
    } catch (thrown) {
      throw translated(thrown);
    }
  };
  return {
    answer,
    timed: (handle) =>
      answer(async (request, handler) => {
        const { result, operations } = await collectOperations(async () => await handle(request, handler));
        return { ...result, operations: operations.map(timeToMessage) };
      }),
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

function timeToMessage({ operation, durationMs, phases }: MeasuredOperation): OperationTime {
  const entries = Object.entries(phases).map(([name, ms]) => ({ name, durationMs: ms }));
  return create(OperationTimeSchema, { operation, durationMs, phases: entries });
}
