import type { IncomingMessage } from 'node:http';
import { SoulBoxError } from '@soulbox/base';

/**
 * A body must deliver this many bytes within this time. A slow client is fine, but a byte per minute counts as stuck.
 */
const progressBytes = 1024;
const progressMs = 120_000;

/**
 * Yields the body of a request as it arrives. Unlike the stream's own iterator, it does not destroy the request when
 * the reader stops early, so that an answer can still be sent. Throws bad_request if the client leaves or almost stops
 * sending.
 */
export async function* bodyChunks(request: IncomingMessage): AsyncGenerator<Buffer, void> {
  let deadline = performance.now() + progressMs;
  let newBytes = 0;
  for (;;) {
    const chunk = request.read() as Buffer | null;
    if (chunk !== null) {
      newBytes += chunk.length;
      const readAt = performance.now();
      yield chunk;
      const now = performance.now();
      // The time that the reader took is not the client's fault.
      deadline += now - readAt;
      if (newBytes < progressBytes) continue;
      newBytes = 0;
      deadline = now + progressMs;
    } else if (request.readableEnded) return;
    else if (request.destroyed)
      throw new SoulBoxError('bad_request', 'The request ended before its body was complete.');
    else await becomesReadable(request, deadline - performance.now());
  }
}

async function becomesReadable(request: IncomingMessage, waitMs: number): Promise<void> {
  const events = ['readable', 'end', 'close', 'error', 'aborted'] as const;
  let timer: NodeJS.Timeout | undefined;
  let settle = (): void => undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      settle = resolve;
      for (const event of events) request.on(event, settle);
      timer = setTimeout(() => reject(stuckError()), Math.max(waitMs, 0));
    });
  } finally {
    clearTimeout(timer);
    for (const event of events) request.off(event, settle);
  }
}

function stuckError(): SoulBoxError {
  return new SoulBoxError(
    'bad_request',
    `Less than ${progressBytes} bytes of the request body arrived in ${progressMs / 1000} s.`,
  );
}
