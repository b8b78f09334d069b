import type { HandlerContext } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { InteractRequest } from '@soulbox/contract/process-v1';
import type { ManagedProcess } from '../process/managed-process.ts';
import { describeInput } from './describe-process.ts';
import type { EventInit, OpenStreams } from './follow.ts';
import { follow, parseFrom, parseKeepalive } from './follow.ts';
import { closeInput, isInputClosed, resize, sendSignal, writeInput } from './process-calls.ts';
import { outputsBeside } from './output-frames.ts';
import type { StreamContext } from './start.ts';
import { startOnce } from './start.ts';
import { createWakeUp } from './wake-up.ts';

/** Input that waits for the process. Beyond it, nothing more is read from the client. */
const maxQueuedBytes = 1024 * 1024;
/** Each waiting message counts for more than its bytes. */
const messageBytes = 1024;

/** One client's whole conversation with a process. */
export async function* interact(
  context: StreamContext,
  streams: OpenStreams,
  requests: AsyncIterable<InteractRequest>,
  call: HandlerContext,
): AsyncIterable<{ event: EventInit }> {
  const iterator = requests[Symbol.asyncIterator]();
  const first = await iterator.next();
  if (first.done === true) throw new SoulBoxError('bad_request', 'The stream ended before its first message.');
  const { process, options, start } = open(context, first.value, call);
  const left = new AbortController();
  const signal = AbortSignal.any([call.signal, left.signal]);
  const input = receive(process, options?.writer ?? '', { [Symbol.asyncIterator]: () => iterator }, signal);
  try {
    const events = follow(process, streams, {
      start,
      keepaliveMs: parseKeepalive(options),
      signal: call.signal,
      beside: call.values.get(outputsBeside),
      more: input,
    });
    for await (const event of events) yield { event };
  } finally {
    // Input that the process has not taken is given up: the client knows how much was accepted.
    left.abort(new SoulBoxError('process_not_ready', 'The stream has ended.'));
  }
}

function open(context: StreamContext, { request }: InteractRequest, call: HandlerContext) {
  if (request.case === 'start') {
    if (request.value.start === undefined) throw new SoulBoxError('bad_request', 'start.start is missing.');
    const process = startOnce(context, request.value.start, call);
    return { process, options: request.value.options, start: { kind: 'oldest' } as const };
  }
  if (request.case === 'attach') {
    const { processId, from, options } = request.value;
    return { process: context.getProcess(processId), options, start: parseFrom(from) };
  }
  throw new SoulBoxError('bad_request', 'The first message must be start or attach.');
}

/**
 * Applies the client's messages. Input waits for the process, in order. Everything else is applied at once, so that a
 * process that does not read can still be signaled.
 */
function receive(
  process: ManagedProcess,
  writer: string,
  requests: AsyncIterable<InteractRequest>,
  signal: AbortSignal,
) {
  const wakeUp = createWakeUp();
  const roomMade = createWakeUp();
  let queuedBytes = 0;
  let queue: Promise<void> = Promise.resolve();
  let isNews = false;
  let failure: { readonly error: unknown } | undefined;

  const fail = (error: unknown): void => {
    if (isInputClosed(error)) isNews = true;
    else failure ??= { error };
    wakeUp.ring();
  };
  const enqueue = (sizeBytes: number, action: () => Promise<unknown>): void => {
    queuedBytes += sizeBytes;
    const run = async (): Promise<void> => {
      // After input that was not taken, more input would leave a hole, and the end of input would cut it.
      signal.throwIfAborted();
      if (failure === undefined) await action();
    };
    queue = queue.then(run).then(
      () => {
        isNews = true;
        wakeUp.ring();
      },
      (error: unknown) => fail(error),
    );
    queue = queue.then(() => {
      queuedBytes -= sizeBytes;
      roomMade.ring();
    });
  };
  const apply = ({ request }: InteractRequest): void => {
    if (request.case === 'input')
      enqueue(request.value.data.length + messageBytes, () => writeInput(process, writer, request.value, signal));
    else if (request.case === 'closeInput') enqueue(messageBytes, () => closeInput(process));
    else if (request.case === 'resize') resize(process, request.value);
    else if (request.case === 'signal') sendSignal(process, request.value);
    else if (request.case === 'acknowledge') process.log.acknowledge(Number(request.value));
    else throw new SoulBoxError('bad_request', 'Only the first message may be start or attach.');
  };
  const receiveAll = async (): Promise<void> => {
    for await (const request of requests) {
      apply(request);
      while (queuedBytes > maxQueuedBytes && !signal.aborted) await roomMade.wait(1000);
    }
  };
  void receiveAll().catch(fail);

  return {
    wakeUp,
    take(): EventInit | undefined {
      if (failure !== undefined) throw failure.error;
      if (!isNews) return undefined;
      isNews = false;
      return { event: { case: 'input', value: describeInput(process, writer) } };
    },
  };
}
