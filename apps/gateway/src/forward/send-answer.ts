import type { IncomingMessage } from 'node:http';
import type { Writable } from 'node:stream';
import type { Exchange } from '../exchange/exchange.ts';
import { connectFarewell, endSoon, isConnectStream } from './farewell.ts';
import { answerHeaders, safeTrailers } from './headers.ts';
import type { Http1Forward } from './http1-forward.ts';
import { createMessageCutter } from './message-cutter.ts';
import type { MessageCutter } from './message-cutter.ts';
import { passOn } from './pass-on.ts';
import type { Holding } from './unread.ts';

/** Passes on the answer of an HTTP/1.1 service. Throws if Node rejects its head. */
export function sendAnswer(exchange: Exchange, forward: Http1Forward, incoming: IncomingMessage): void {
  const { holding, isOurs = false } = forward;
  let isOver = false;
  incoming.on('error', () => {
    if (!isOver) exchange.reset();
  });
  if (exchange.closed) {
    incoming.destroy();
    return;
  }
  const status = incoming.statusCode ?? 0;
  const answer = exchange.sendHead(status, incoming.statusMessage ?? '', answerHeaders(incoming.rawHeaders));
  if (isOurs && exchange.method !== 'HEAD') holdUnsent(incoming, holding);
  const messages = forward.onAnswer && isConnectStream(status, incoming.rawHeaders) ? createMessageCutter() : undefined;
  if (messages !== undefined) {
    forward.onAnswer?.(() => {
      isOver = messages.isBetween();
      if (isOver) endWith(exchange, answer, connectFarewell);
      else exchange.reset();
    });
  }
  passOn(incoming, answer, holding, messages && cutInto(messages, holding));
  incoming.once('end', () => {
    if (isOver) return;
    if (!incoming.complete) {
      exchange.reset();
      return;
    }
    try {
      const trailers = safeTrailers(incoming.rawTrailers);
      if (trailers.length > 0) exchange.setTrailers(trailers);
      answer.end(messages?.rest());
    } catch {
      exchange.reset();
    }
  });
}

function endWith(exchange: Exchange, answer: Writable, last: Uint8Array): void {
  answer.end(last);
  endSoon(exchange, answer);
}

/** The held part of a message counts as memory, too. */
export function cutInto(messages: MessageCutter, holding: Holding): (chunk: Buffer) => Uint8Array[] {
  return (chunk) => {
    const before = messages.heldBytes();
    const pieces = messages.take(chunk);
    const change = messages.heldBytes() - before;
    if (change > 0) holding.add(change);
    else holding.release(-change);
    return pieces;
  };
}

/** The part of an API answer that was generated but not yet read counts as memory, too. */
function holdUnsent(incoming: IncomingMessage, holding: Holding): void {
  const length = Number(incoming.headers['content-length'] ?? 0);
  holding.add(length);
  incoming.on('data', (chunk: Uint8Array) => holding.release(Math.min(chunk.byteLength, length)));
}
