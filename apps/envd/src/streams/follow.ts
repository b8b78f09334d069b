import type { MessageInitShape } from '@bufbuild/protobuf';
import { SoulBoxError } from '@soulbox/base';
import type { AttachOptions, EventSchema, From } from '@soulbox/contract/process-v1';
import { OutputStream } from '@soulbox/contract/process-v1';
import type { LogReader, LogStart, OutputPart } from '../output-log/log-reader.ts';
import { openLogReader } from '../output-log/log-reader.ts';
import { blockBytes } from '../output-log/block-list.ts';
import type { ManagedProcess } from '../process/managed-process.ts';
import { describeExit, describeProcess } from './describe-process.ts';
import type { OutputsBeside } from './output-frames.ts';
import type { WakeUp } from './wake-up.ts';
import { createWakeUp } from './wake-up.ts';

export type EventInit = MessageInitShape<typeof EventSchema>;

/** Streams that are open, over all processes. Each holds one message that its client has not taken. */
export interface OpenStreams {
  count: number;
}

const maxStreams = 2048;
/** What all streams may read at once, together: with many streams their messages are smaller. */
const sharedReadBytes = 4 * 1024 * 1024;
/** For one stream. What is in memory is read in parts of a block. */
const maxReadBytes = 4 * blockBytes;
const minReadBytes = 16 * 1024;
const defaultKeepaliveSeconds = 30;
const maxKeepaliveSeconds = 3600;

export interface FollowOptions {
  readonly start: LogStart;
  readonly keepaliveMs: number;
  readonly signal: AbortSignal;
  /** Takes the output, if the messages are to be sent without it. */
  readonly beside?: OutputsBeside | undefined;
  /** Further events. Called after each ring of the wake-up. May throw to end the stream. */
  readonly more?: { readonly wakeUp: WakeUp; readonly take: () => EventInit | undefined };
}

/** Throws bad_request for an interval that is too long. */
export function parseKeepalive(options: AttachOptions | undefined): number {
  const seconds = options?.keepaliveSeconds ?? 0;
  if (seconds > maxKeepaliveSeconds)
    throw new SoulBoxError('bad_request', `keepalive_seconds must be at most ${maxKeepaliveSeconds}.`);
  return (seconds === 0 ? defaultKeepaliveSeconds : seconds) * 1000;
}

export function parseFrom(from: From | undefined): LogStart {
  switch (from?.from.case) {
    case 'position':
      return { kind: 'position', position: Number(from.from.value) };
    case 'lastBytes':
      return { kind: 'last', bytes: Number(from.from.value) };
    case 'newest':
      return { kind: 'newest' };
    default:
      return { kind: 'oldest' };
  }
}

/** Throws limit_exceeded if no further stream may begin. */
export function requirePlace({ count }: OpenStreams): void {
  if (count >= maxStreams)
    throw new SoulBoxError('limit_exceeded', `More than ${maxStreams} streams are open. Close some.`);
}

/**
 * Yields `attached`, the output from `start` on, and `ended` when all of it was read. A client that reads slowly only
 * delays itself: the stream reads the next output when the client has taken the last one.
 */
export async function* follow(
  process: ManagedProcess,
  streams: OpenStreams,
  options: FollowOptions,
): AsyncIterable<EventInit> {
  requirePlace(streams);
  const wakeUp = options.more?.wakeUp ?? createWakeUp();
  const { signal, start } = options;
  const { listeners } = process.log;
  // Before any wait: others may begin meanwhile.
  streams.count += 1;
  try {
    const reader = await openLogReader(process.log, start);
    signal.addEventListener('abort', wakeUp.ring);
    listeners.add(wakeUp.ring);
    try {
      yield* readOn(process, reader, { streams, wakeUp, ...options });
    } finally {
      listeners.delete(wakeUp.ring);
      signal.removeEventListener('abort', wakeUp.ring);
      reader.close();
    }
  } finally {
    streams.count -= 1;
  }
}

async function* readOn(
  process: ManagedProcess,
  reader: LogReader,
  { streams, wakeUp, keepaliveMs, signal, more, beside }: FollowOptions & { streams: OpenStreams; wakeUp: WakeUp },
): AsyncIterable<EventInit> {
  const { log } = process;
  const value = { process: describeProcess(process), position: BigInt(reader.position) };
  yield { event: { case: 'attached', value } };
  for (;;) {
    signal.throwIfAborted();
    const event = more?.take();
    if (event !== undefined) yield event;
    const read = reader.read(readBytes(streams));
    const parts = read instanceof Promise ? await read : read;
    for (const part of parts) {
      if (part.kind === 'gap')
        yield { event: { case: 'gap', value: { from: BigInt(part.from), to: BigInt(part.to) } } };
      else if (beside === undefined) yield outputEvent(part);
      else {
        beside.push(part);
        yield emptyOutput;
      }
    }
    if (parts.length > 0 || reader.position < log.end) continue;
    const exit = log.isClosed ? describeExit(process) : undefined;
    if (exit !== undefined) {
      yield { event: { case: 'ended', value: { exit, position: BigInt(log.end) } } };
      return;
    }
    if (!(await wakeUp.wait(keepaliveMs))) yield { event: { case: 'keepalive', value: {} } };
  }
}

function readBytes({ count }: OpenStreams): number {
  return Math.min(maxReadBytes, Math.max(minReadBytes, Math.floor(sharedReadBytes / count)));
}

const emptyOutput: EventInit = { event: { case: 'output', value: {} } };
const streamNames = { 1: OutputStream.STDOUT, 2: OutputStream.STDERR, 3: OutputStream.TERMINAL } as const;

function outputEvent({ position, stream, streamPosition, bytes }: OutputPart): EventInit {
  return {
    event: {
      case: 'output',
      value: {
        position: BigInt(position),
        stream: streamNames[stream],
        streamPosition: BigInt(streamPosition),
        data: bytes,
      },
    },
  };
}
