import type { Socket } from 'node:net';

/** The time from the first byte of a connection, or from the last answer, to the end of the next request's headers. */
const maxIdleMs = 75_000;

/** Watches one connection. Must be informed of each request. */
export interface IdleTimer {
  requestBegins(response: { once(event: 'close', listener: () => void): unknown }): void;
}

/**
 * Closes a connection on which no request has begun for too long, however slowly it sends. The runtime's server also
 * has such limits, but only applies them to connections that it accepted itself.
 */
export function createIdleTimer(socket: Socket, idleMs = maxIdleMs): IdleTimer {
  const arm = (): NodeJS.Timeout => setTimeout(() => socket.destroy(), idleMs);
  let timer = arm();
  let unanswered = 0;
  socket.once('close', () => clearTimeout(timer));
  return {
    requestBegins(response) {
      clearTimeout(timer);
      unanswered += 1;
      response.once('close', () => {
        unanswered -= 1;
        if (unanswered > 0 || socket.destroyed) return;
        clearTimeout(timer);
        timer = arm();
      });
    },
  };
}
