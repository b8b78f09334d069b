import { CallError, ownReasons } from './call-error.ts';
import { errorFromFailure, failureFromThrown } from './failure.ts';
import type { Failure } from './failure.ts';
import { nextDelay, parseRetryPolicy } from './retry-policy.ts';
import type { RetryPolicy } from './retry-policy.ts';
import { abortedError } from './retry-call.ts';
import { wait } from './wait.ts';

/** The part of a channel that a message carries: from `start` up to, but not including, `end`. */
export interface Extent {
  /** A stream may have several channels with offsets of their own. Absent: the only one. */
  readonly channel?: string;
  readonly start: bigint;
  readonly end: bigint;
}

/** The next wanted offset of each channel. */
export interface Offsets {
  of(channel?: string): bigint;
  /** Channels of which something has arrived, and those that `from` names. */
  readonly channels: readonly string[];
}

export interface ResumableStream<Message> {
  /** For events. */
  readonly name: string;
  /** Opens the stream at these offsets. It ends when the signal aborts. */
  open(from: Offsets, signal: AbortSignal): AsyncIterable<Message>;
  /** Undefined for a message without a place in a channel. Such a message can arrive again after a resumption. */
  positionOf(message: Message): Extent | undefined;
  /**
   * Where the stream begins, if a message says so. It counts for a stream that was opened without `from`, such as one
   * that begins at the newest output.
   */
  startOf?(message: Message): bigint | undefined;
  /** The same message without its first `skip` units. Absent: a partly repeated message is an error. */
  trim?(message: Message, skip: bigint): Message;
  /** Whether this is the last message. A stream that ends without one was cut. Absent: every end is the last. */
  isLast?(message: Message): boolean;
  /** Accepts what the server has dropped, and continues behind it. Absent: a gap is an error. */
  onGap?(gap: Extent): void;
}

export interface ResumeOptions {
  /** Where to begin. Absent: where the first message says, otherwise at 0. */
  readonly from?: bigint | Readonly<Record<string, bigint>>;
  /**
   * Attempts and budget begin again with each message that brings something new, and when a stream with any message
   * has lasted for `maxDelayMs`.
   */
  readonly retry?: Partial<RetryPolicy>;
  readonly signal?: AbortSignal;
  /** A stream that is silent for so long, in milliseconds, counts as cut. Absent: it may be silent. */
  readonly silenceMs?: number;
  readonly onResume?: (error: CallError | undefined) => void;
  readonly random?: () => number;
}

/**
 * Reads a stream as if its connection never broke: after a cut it is opened again at the first offset that has not
 * arrived. Repeated parts are dropped. Throws CallError: `stream_gap` and `stream_overlap` for parts that do not follow
 * each other, otherwise that of the last attempt.
 */
export async function* resumeStream<Message>(
  stream: ResumableStream<Message>,
  options: ResumeOptions = {},
): AsyncGenerator<Message> {
  const { signal, onResume, random } = options;
  const policy = parseRetryPolicy(options.retry);
  const offsets = createOffsets(options.from);
  let failures = 0;
  let failingSince = 0;
  for (;;) {
    let failure: Failure | undefined;
    const openedAt = performance.now();
    let hasMessages = false;
    try {
      for await (const message of readOnce(stream, offsets, options)) {
        hasMessages = true;
        const start = offsets.channels.length === 0 ? stream.startOf?.(message) : undefined;
        if (start !== undefined) offsets.set(onlyChannel, start);
        const step = place(stream, offsets, message);
        if (step === undefined) continue;
        if (step.isNew) failures = 0;
        yield step.message;
        if (stream.isLast?.(step.message) === true) return;
      }
      if (stream.isLast === undefined) return;
    } catch (thrown) {
      if (signal?.aborted === true) throw abortedError(signal);
      failure = failureFromThrown(thrown);
    }
    // Reading changes nothing at the server, so it is safe to repeat.
    const error = failure === undefined ? undefined : errorFromFailure(failure, true);
    if (error?.retryable === false) throw error;
    if (hasMessages && performance.now() - openedAt >= policy.maxDelayMs) failures = 0;
    failures += 1;
    if (failures === 1) failingSince = performance.now();
    const elapsedMs = performance.now() - failingSince;
    const failed = { attempt: failures, elapsedMs, retryAfterMs: failure?.retryAfterMs };
    const delayMs = nextDelay(policy, failed, random);
    if (delayMs === undefined) throw error ?? cutError(stream.name);
    onResume?.(error);
    await wait(delayMs, signal).catch(() => {
      throw abortedError(signal);
    });
  }
}

interface MutableOffsets extends Offsets {
  set(channel: string, offset: bigint): void;
}

const onlyChannel = '';

function createOffsets(from: ResumeOptions['from'] = {}): MutableOffsets {
  const entries = typeof from === 'bigint' ? [[onlyChannel, from] as const] : Object.entries(from);
  const byChannel = new Map(entries);
  return {
    of: (channel = onlyChannel) => byChannel.get(channel) ?? 0n,
    get channels() {
      return [...byChannel.keys()];
    },
    set: (channel, offset) => void byChannel.set(channel, offset),
  };
}

/** Undefined: the whole message has arrived before. */
function place<Message>(
  stream: ResumableStream<Message>,
  offsets: MutableOffsets,
  message: Message,
): { readonly message: Message; readonly isNew: boolean } | undefined {
  const extent = stream.positionOf(message);
  if (extent === undefined) return { message, isNew: false };
  const { channel = onlyChannel, start, end } = extent;
  const wanted = offsets.of(channel);
  if (start < 0n || end < start) throw broken(stream.name, `has a part from ${start} to ${end}`, 'invalidResponse');
  if (start === end && start === wanted) return { message, isNew: false };
  if (end <= wanted) return undefined;
  if (start > wanted) {
    if (stream.onGap === undefined)
      throw broken(stream.name, `continues at ${start}, but its part from ${wanted} is missing`, 'streamGap');
    stream.onGap({ channel, start: wanted, end: start });
  }
  offsets.set(channel, end);
  if (start >= wanted) return { message, isNew: true };
  if (stream.trim === undefined)
    throw broken(stream.name, `repeats a part: ${start} to ${end}, wanted from ${wanted}`, 'streamOverlap');
  return { message: stream.trim(message, wanted - start), isNew: true };
}

/** Reads until the stream ends or is silent for too long. Leaving the loop aborts it. */
async function* readOnce<Message>(
  stream: ResumableStream<Message>,
  offsets: Offsets,
  { signal, silenceMs }: ResumeOptions,
): AsyncGenerator<Message> {
  const own = new AbortController();
  const both = signal === undefined ? own.signal : AbortSignal.any([signal, own.signal]);
  let iterator: AsyncIterator<Message> | undefined;
  try {
    both.throwIfAborted();
    iterator = stream.open(offsets, both)[Symbol.asyncIterator]();
    for (;;) {
      const next = await untilSilent(iterator.next(), both, silenceMs);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    own.abort();
    // A stream that ignores its signal must not hold this one up.
    iterator?.return?.().catch(() => undefined);
  }
}

/** Rejects at once when the signal aborts, even if the stream does not notice. */
async function untilSilent<T>(next: Promise<T>, signal: AbortSignal, silenceMs: number | undefined): Promise<T> {
  return await new Promise<T>((resolve, reject) => {
    const end = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    const abort = (): void => {
      end();
      reject(signal.reason as Error);
    };
    const timer = silenceMs === undefined ? undefined : setTimeout(() => reject(silent(silenceMs)), silenceMs);
    signal.addEventListener('abort', abort);
    next.then(resolve, reject).finally(end);
  });
}

function silent(silenceMs: number): CallError {
  const facts = { code: 'deadline_exceeded', reason: ownReasons.timeout, retryable: true } as const;
  return new CallError(`The stream was silent for ${silenceMs} ms.`, facts);
}

function cutError(name: string): CallError {
  const facts = { code: 'unavailable', reason: ownReasons.unreachable, retryable: true } as const;
  return new CallError(`The stream ${name} ended early.`, facts);
}

function broken(name: string, fault: string, reason: 'invalidResponse' | 'streamGap' | 'streamOverlap'): CallError {
  const facts = { code: 'data_loss', reason: ownReasons[reason], retryable: false } as const;
  return new CallError(`The stream ${name} ${fault}.`, facts);
}
