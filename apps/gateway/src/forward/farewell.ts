import type { Writable } from 'node:stream';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange, RawHeaders } from '../exchange/exchange.ts';
import { lingeringCloseMs } from '../exchange/lingering-close.ts';

/**
 * What clients of every version read as the end of the sandbox. A broken connection is that to some only: those that ask `/health` then.
 * Others throw what their HTTP library says, and Python's before 2.45 send the request again.
 */
const message = 'the sandbox was paused, killed or reached its end of life';
/** `unavailable` in gRPC's numbers (grpc.io/docs/guides/status-codes). */
const grpcUnavailable = '14';

/** The last message of a stream of Connect, with the flag that says so. */
export const connectFarewell: Buffer = frame(2, JSON.stringify({ error: { code: 'unavailable', message } }));

/** Trailers may stand in for the rest of an answer of gRPC. */
export const grpcFarewell: RawHeaders = ['grpc-status', grpcUnavailable, 'grpc-message', message];

/** Whether an answer is a stream of Connect's messages, as they are. */
export function isConnectStream(status: number, headers: RawHeaders): boolean {
  const type = findHeader(headers, 'content-type')?.toLowerCase() ?? '';
  if (status !== 200 || !/^application\/connect\+(json|proto)$/.test(type)) return false;
  // More than an announced length would be read as the beginning of the next answer.
  return ['content-encoding', 'content-length'].every((name) => findHeader(headers, name) === undefined);
}

/** Leaves a slow reader a moment for what it has not read yet. */
export function endSoon(exchange: Exchange, answer: Writable): void {
  const timer = setTimeout(() => {
    if (!answer.writableFinished) exchange.reset();
  }, lingeringCloseMs);
  exchange.onClose(() => clearTimeout(timer));
}

function frame(flags: number, text: string): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flags, 0);
  head.writeUInt32BE(Buffer.byteLength(text), 1);
  return Buffer.concat([head, Buffer.from(text)]);
}
