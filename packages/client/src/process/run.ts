import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Client } from '@connectrpc/connect';
import { ProcessService } from '@soulbox/contract/process-v1';
import type { Event, Process, StartRequestSchema } from '@soulbox/contract/process-v1';
import { describeMethod } from '../core/call-description.ts';
import { CallError, ownReasons } from '../core/call-error.ts';
import { failureFromThrown } from '../core/failure.ts';
import { retryCall } from '../core/retry-call.ts';
import type { RetryOptions } from '../core/retry-call.ts';
import { parseRetryPolicy } from '../core/retry-policy.ts';
import type { RetryPolicy } from '../core/retry-policy.ts';
import { defaultKeepaliveSeconds } from './attach.ts';
import type { OpenedStream } from './attach.ts';

export interface RunRequest {
  /** With an id, the call is repeated when it fails. */
  readonly start: MessageInitShape<typeof StartRequestSchema> & { readonly id: string };
  /** As in `Attachment`. */
  readonly keepaliveSeconds?: number;
}

export interface RunOptions {
  readonly retry?: Partial<RetryPolicy>;
  readonly onRetry?: (retry: Parameters<NonNullable<RetryOptions['onRetry']>>[0] & { readonly call: string }) => void;
  /** Ends the call, until the process has started. */
  readonly signal?: AbortSignal | undefined;
}

export interface RunningProcess {
  readonly process: Process | undefined;
  /** Has begun. To be read by `attachProcess`, at once. Undefined: the server has no such call, so nothing was opened. */
  readonly opened: OpenedStream | undefined;
}

/**
 * Starts a process and opens the stream of its output in one call. Of a server that has no such call, it starts the
 * process only. Throws CallError.
 */
export async function runProcess(
  client: Pick<Client<typeof ProcessService>, 'run' | 'start'>,
  request: RunRequest,
  { retry, onRetry, signal }: RunOptions = {},
): Promise<RunningProcess> {
  const described = describeMethod(ProcessService.method.run);
  return await retryCall(
    { ...described, isSafeToRepeat: request.start.id !== '' },
    async () => await runOnce(client, request, signal),
    {
      ...{ policy: parseRetryPolicy(retry), signal },
      ...(onRetry === undefined ? {} : { onRetry: (facts) => onRetry({ call: described.name, ...facts }) }),
    },
  );
}

async function runOnce(
  client: Pick<Client<typeof ProcessService>, 'run' | 'start'>,
  { start, keepaliveSeconds = defaultKeepaliveSeconds }: RunRequest,
  signal: AbortSignal | undefined,
): Promise<RunningProcess> {
  const leave = new AbortController();
  const abort = (): void => leave.abort(signal?.reason);
  signal?.addEventListener('abort', abort);
  try {
    const call = client.run({ start, options: { keepaliveSeconds } }, { signal: leave.signal });
    const responses = call[Symbol.asyncIterator]();
    const first = await responses.next();
    const event = first.done === true ? undefined : first.value.event?.event;
    if (event?.case !== 'attached') throw notStarted();
    return { process: event.value.process, opened: (until) => readOn(event, responses, leave, until) };
  } catch (thrown) {
    leave.abort();
    if (failureFromThrown(thrown).code !== 'unimplemented') throw thrown;
    // The envd of a sandbox that an older server has paused.
    const { process } = await client.start(start, signal === undefined ? {} : { signal });
    return { process, opened: undefined };
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

async function* readOn(
  first: Event['event'],
  responses: AsyncIterator<{ readonly event?: Event | undefined }>,
  leave: AbortController,
  until: AbortSignal,
): AsyncGenerator<Event['event']> {
  const abort = (): void => leave.abort(until.reason);
  if (until.aborted) abort();
  until.addEventListener('abort', abort);
  try {
    yield first;
    for (let next = await responses.next(); next.done !== true; next = await responses.next())
      if (next.value.event !== undefined) yield next.value.event.event;
  } finally {
    until.removeEventListener('abort', abort);
    leave.abort();
  }
}

function notStarted(): CallError {
  const facts = { code: 'unavailable', reason: ownReasons.unreachable, retryable: true } as const;
  return new CallError('The server did not say what it has started.', facts);
}
