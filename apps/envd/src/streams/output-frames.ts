import type { IncomingMessage, ServerResponse } from 'node:http';
import { createContextKey, createContextValues } from '@connectrpc/connect';
import type { ContextValues } from '@connectrpc/connect';
import type { OutputPart } from '../output-log/log-reader.ts';
import { countPassedBytes } from '../sys/collect-garbage.ts';

/**
 * The output of messages that are on their way through connect, in order. Connect carries empty messages in their place,
 * which are replaced at the end: otherwise each level of a message and the frame around it would copy the bytes into a
 * buffer of its own.
 */
export type OutputsBeside = OutputPart[];

/** Undefined for a call whose messages connect encodes with their output. */
export const outputsBeside = createContextKey<OutputsBeside | undefined>(undefined);

const ofRequest = new WeakMap<object, OutputsBeside>();

export function contextOf(request: object): ContextValues {
  return createContextValues().set(outputsBeside, ofRequest.get(request));
}

/** The types of streams of binary messages. All have the same frames, and a response in parts of one frame each. */
const framedTypes: ReadonlySet<string> = new Set([
  'application/connect+proto',
  'application/grpc',
  'application/grpc+proto',
  'application/grpc-web',
  'application/grpc-web+proto',
]);

/** Output of at most this size is copied behind its head, which costs less than a write of its own. */
const copiedBytes = 16 * 1024;

type Write = (chunk: Uint8Array, encoding: BufferEncoding, callback?: (error?: Error | null) => void) => boolean;

/**
 * Lets the call send output beside its messages. Connect writes each message with one `write`, and waits until the
 * client has taken it before it reads the next.
 */
export function sendOutputsBeside(request: IncomingMessage, response: ServerResponse): void {
  if (!framedTypes.has(request.headers['content-type'] ?? '')) return;
  const outputs: OutputsBeside = [];
  ofRequest.set(request, outputs);
  const write = response.write.bind(response) as Write;
  response.write = ((chunk, encoding, callback) => {
    const output = emptyOutput.equals(chunk) ? outputs.shift() : undefined;
    if (output === undefined) return write(chunk, encoding, callback);
    const head = encodeFrameHead(output);
    const { bytes } = output;
    countPassedBytes(bytes.length);
    if (bytes.length <= copiedBytes) return write(Buffer.concat([head, bytes]), encoding, callback);
    write(head, encoding);
    return write(bytes, encoding, callback);
  }) satisfies Write as ServerResponse['write'];
}

/** Flags and length of a frame. */
const frameHeadBytes = 5;
/** Two messages around Output, a varint of 32 bits each; in Output three varints and the length of the data. */
const maxHeadBytes = frameHeadBytes + 2 * (1 + 5) + (1 + 8) + 2 + (1 + 8) + (1 + 5);

/** Fields of length-delimited type: `event` in AttachResponse, RunResponse and InteractResponse, `output` in Event, and `data`. */
const tags = { event: 0x0a, output: 0x12, position: 0x08, stream: 0x10, streamPosition: 0x18, data: 0x22 } as const;

/** The frame of an empty Output in its two messages. Output always has data, so no other message looks like this. */
const emptyOutput = Buffer.from([0, 0, 0, 0, 4, tags.event, 2, tags.output, 0]);

/** What comes before the bytes in the frame of an AttachResponse, RunResponse or InteractResponse. It is not compressed. */
export function encodeFrameHead({ position, stream, streamPosition, bytes }: OutputPart): Uint8Array {
  const inOutput = field(position) + 2 + field(streamPosition) + 1 + varintLength(bytes.length) + bytes.length;
  const inEvent = 1 + varintLength(inOutput) + inOutput;
  const message = 1 + varintLength(inEvent) + inEvent;
  const head = Buffer.allocUnsafe(maxHeadBytes);
  head[0] = 0;
  head.writeUInt32BE(message, 1);
  let at = frameHeadBytes;
  const write = (tag: number, value: number): void => {
    head[at] = tag;
    at = writeVarint(head, at + 1, value);
  };
  write(tags.event, inEvent);
  write(tags.output, inOutput);
  if (position > 0) write(tags.position, position);
  write(tags.stream, stream);
  if (streamPosition > 0) write(tags.streamPosition, streamPosition);
  write(tags.data, bytes.length);
  return head.subarray(0, at);
}

/** The length of a field with a number. proto3 leaves out zeros. */
function field(value: number): number {
  return value === 0 ? 0 : 1 + varintLength(value);
}

function varintLength(value: number): number {
  let length = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) length += 1;
  return length;
}

/** Returns the place after it. */
function writeVarint(bytes: Buffer, at: number, value: number): number {
  let next = at;
  let rest = value;
  // Not by shifts, which have 32 bits.
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes[next++] = (rest % 0x80) | 0x80;
  bytes[next] = rest;
  return next + 1;
}
