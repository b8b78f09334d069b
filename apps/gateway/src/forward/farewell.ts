import type { Writable } from 'node:stream';
import { findHeader } from '../exchange/exchange.ts';
import type { Exchange, RawHeaders } from '../exchange/exchange.ts';
import { lingeringCloseMs } from '../exchange/lingering-close.ts';

/**
 * Clients of every version interpret this text as the end of the sandbox. A broken connection has this meaning only for
 * clients that then request `/health`. Others throw the error of their HTTP library, and Python's clients before 2.45
 * repeat the request.
 */
const message = 'the sandbox was paused, killed or reached its end of life';
/** The gRPC number of `unavailable` (grpc.io/docs/guides/status-codes). */
const grpcUnavailable = '14';

/** The last message of a Connect stream, with the end-of-stream flag. */
export const connectFarewell: Buffer = frame(2, JSON.stringify({ error: { code: 'unavailable', message } }));

/** In gRPC, trailers may replace the rest of an answer. */
export const grpcFarewell: RawHeaders = ['grpc-status', grpcUnavailable, 'grpc-message', message];

/** Whether an answer is a stream of Connect messages, without content encoding. */
export function isConnectStream(status: number, headers: RawHeaders): boolean {
  const type = findHeader(headers, 'content-type')?.toLowerCase() ?? '';
  if (status !== 200 || !/^application\/connect\+(json|proto)$/.test(type)) return false;
  // Bytes beyond an announced length would be read as the beginning of the next answer.
  return ['content-encoding', 'content-length'].every((name) => findHeader(headers, name) === undefined);
}

/** Gives a slow reader a moment to read the rest. */
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
