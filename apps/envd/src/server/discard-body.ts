import type { IncomingMessage, ServerResponse } from 'node:http';

/** The maximum amount and time for reading an unread body after the answer. */
const maxBytes = 64 * 1024 * 1024;
const maxMs = 30_000;

/**
 * Lets a client finish sending after an early answer, because an immediate close would reset the connection and lose
 * the answer. A client with too much left is disconnected.
 */
export function discardBody(request: IncomingMessage, response: ServerResponse): void {
  if (request.readableEnded || request.destroyed) return;
  let taken = 0;
  const cut = (): void => {
    request.destroy();
    response.destroy();
  };
  const timer = setTimeout(cut, maxMs);
  request.on('data', (chunk: Buffer) => {
    taken += chunk.length;
    if (taken > maxBytes) cut();
  });
  request.once('close', () => clearTimeout(timer));
  request.once('end', () => clearTimeout(timer));
  request.on('error', () => undefined);
  request.resume();
}
