import type { DescMethod } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Interceptor, StreamResponse, UnaryResponse } from '@connectrpc/connect';
import { describeMethod } from './call-description.ts';
import { CallError } from './call-error.ts';
import type { CallErrorCode } from './call-error.ts';
import { errorFromFailure, failureFromThrown } from './failure.ts';
import type { Slots } from './slots.ts';
import type { Target } from './target.ts';

/** Of draft-ietf-httpapi-idempotency-key-header. */
const idempotencyKeyHeader = 'idempotency-key';

export interface CallRules {
  /** Limit how many calls and streams are in progress. */
  readonly slots?: Slots | undefined;
  /** The same for streams and long calls. Absent: `slots`. */
  readonly streamSlots?: Slots | undefined;
  /** Calls that last as long as something in the sandbox. Their lateness is no outage. */
  readonly isLong?: ((method: DescMethod) => boolean) | undefined;
  /** How long one attempt of a long call may take, in milliseconds. Default: no limit. */
  readonly longAttemptTimeoutMs?: number | undefined;
  /** Methods that are safe to repeat beside those whose options say so, for a protocol of others that says nothing. */
  readonly isSafeToRepeat?: ((method: DescMethod) => boolean) | undefined;
}

/**
 * Applies a target's rules to the calls of a Connect transport. A unary call is repeated if it may be. A stream is
 * opened once: its messages cannot be sent again, and `resumeStream` opens it where it ended.
 *
 * Connect's clients throw ConnectError only. `callErrorFrom` turns it into a CallError.
 */
export function createCallInterceptor(target: Target, rules: CallRules = {}): Interceptor {
  const { slots, streamSlots = slots, isSafeToRepeat, longAttemptTimeoutMs = 0 } = rules;
  return (next) => async (request) => {
    try {
      if (request.stream) return await openStream(async () => (await next(request)) as StreamResponse, request.signal);
      const described = describeMethod(request.method, request.header.get(idempotencyKeyHeader));
      const description =
        isSafeToRepeat?.(request.method) === true ? { ...described, isSafeToRepeat: true } : described;
      const isLong = rules.isLong?.(request.method) === true;
      return await target.call(
        description,
        async (signal = request.signal) => {
          const release = await target.take(isLong ? streamSlots : slots, signal);
          try {
            return (await next({ ...request, signal })) as UnaryResponse;
          } finally {
            release();
          }
        },
        { signal: request.signal, isLong, ...(isLong ? { attemptTimeoutMs: longAttemptTimeoutMs } : {}) },
      );
    } catch (thrown) {
      throw connectErrorFrom(thrown);
    }
  };

  async function openStream(open: () => Promise<StreamResponse>, signal: AbortSignal): Promise<StreamResponse> {
    const release = await target.take(streamSlots, signal);
    try {
      const response = await target.attempt(open);
      if (streamSlots === undefined) return response;
      // A reader may leave a stream that does not end, or never begin to read it.
      signal.addEventListener('abort', release);
      return { ...response, message: readThenRelease(response.message, signal, release) };
    } catch (thrown) {
      release();
      throw thrown;
    }
  }
}

async function* readThenRelease<T>(
  messages: AsyncIterable<T>,
  signal: AbortSignal,
  release: () => void,
): AsyncGenerator<T> {
  try {
    yield* messages;
  } finally {
    signal.removeEventListener('abort', release);
    release();
  }
}

/** The error of a call in the one form. `isSafeToRepeat`: the call may take effect twice without harm. */
export function callErrorFrom(thrown: unknown, isSafeToRepeat = false): CallError {
  return errorFromFailure(failureFromThrown(thrown), isSafeToRepeat);
}

function connectErrorFrom(thrown: unknown): unknown {
  if (!(thrown instanceof CallError)) return thrown;
  if (thrown.cause instanceof ConnectError) return thrown.cause;
  return new ConnectError(thrown.message, codes[thrown.code], undefined, [], thrown);
}

const codes = {
  canceled: Code.Canceled,
  unknown: Code.Unknown,
  invalid_argument: Code.InvalidArgument,
  deadline_exceeded: Code.DeadlineExceeded,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  permission_denied: Code.PermissionDenied,
  resource_exhausted: Code.ResourceExhausted,
  failed_precondition: Code.FailedPrecondition,
  aborted: Code.Aborted,
  out_of_range: Code.OutOfRange,
  unimplemented: Code.Unimplemented,
  internal: Code.Internal,
  unavailable: Code.Unavailable,
  data_loss: Code.DataLoss,
  unauthenticated: Code.Unauthenticated,
} as const satisfies Record<CallErrorCode, Code>;
