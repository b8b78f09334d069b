import type { IncomingMessage } from 'node:http';
import { SoulBoxError } from '@soulbox/base';

/** A body that brings nothing for this long is given up: slow is fine, stuck is not. */
const stallMs = 120_000;

/**
 * The body of a request as it comes. Unlike the stream's own iterator it leaves the request alone when the reader stops
 * early, so that an answer can still be sent. Throws bad_request when the client leaves or stops sending.
 */
export async function* bodyChunks(request: IncomingMessage): AsyncGenerator<Buffer, void> {
  for (;;) {
    const chunk = request.read() as Buffer | null;
    if (chunk !== null) yield chunk;
    else if (request.readableEnded) return;
    else if (request.destroyed) throw new SoulBoxError('bad_request', 'The request ended before its body.');
    else await becomesReadable(request);
  }
}

async function becomesReadable(request: IncomingMessage): Promise<void> {
  const events = ['readable', 'end', 'close', 'error', 'aborted'] as const;
  await new Promise<void>((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      for (const event of events) request.off(event, settle);
      resolve();
    };
    const timer = setTimeout(() => {
      for (const event of events) request.off(event, settle);
      reject(new SoulBoxError('bad_request', `Nothing of the body came for ${stallMs / 1000} s.`));
    }, stallMs);
    for (const event of events) request.on(event, settle);
  });
}
