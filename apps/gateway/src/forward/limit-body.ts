import { Readable } from 'node:stream';
import type { Exchange } from '../exchange/exchange.ts';

/**
 * Wraps the exchange so that its body may have `maxBytes` at most, counted while it arrives. Beyond that the request to
 * the next hop breaks off, so that it never looks complete, and `onTooLarge` may answer the client.
 */
export function limitBody(exchange: Exchange, maxBytes: number, onTooLarge: () => void): Exchange {
  const { body } = exchange;
  const listeners: (() => void)[] = [];
  let isOver = false;
  let left = maxBytes;
  const end = (): void => {
    if (isOver) return;
    isOver = true;
    for (const listener of listeners) listener();
  };
  exchange.onClose(end);

  const limited = new Readable({ read: () => void body.resume() });
  // Attaching a listener would start the flow, before anybody wants the body.
  body.pause();
  body.on('data', (chunk: Buffer) => {
    if (isOver) return;
    left -= chunk.byteLength;
    if (left < 0) {
      end();
      onTooLarge();
    } else if (!limited.push(chunk)) body.pause();
  });
  body.once('end', () => limited.push(null));

  return Object.create(exchange, {
    body: { value: limited, enumerable: true },
    closed: { get: () => isOver || exchange.closed, enumerable: true },
    onClose: {
      value: (listener: () => void): void => {
        if (isOver) listener();
        else listeners.push(listener);
      },
      enumerable: true,
    },
  }) as Exchange;
}
