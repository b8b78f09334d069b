import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { resetSocket } from '../exchange/reset-socket.ts';

/** Requests that may wait on a connection before nothing more is read from it. */
const pausedAt = 8;
/** One read of 64 KiB can hold more than a thousand: a connection with more of them waiting than this is reset. */
const waitingMax = 64;

/**
 * Lets the requests of a connection begin one after the other, as their answers must go out in any case (RFC 9112, section 9.3.2).
 * Node's server hands out every request that it has read, at once.
 */
export interface Turns {
  /** Calls `begin` when the answers before are out; never when the connection breaks first. */
  take(connection: Duplex, response: ServerResponse, begin: () => void): void;
  /** Whether a request has begun or waits. */
  isBusy(connection: Duplex): boolean;
}

interface Line {
  /** A request has begun whose answer is not out. */
  isBusy: boolean;
  waiting: (() => void)[];
}

export function createTurns(): Turns {
  const lines = new WeakMap<Duplex, Line>();

  const lineOf = (connection: Duplex): Line => {
    const known = lines.get(connection);
    if (known !== undefined) return known;
    const line: Line = { isBusy: false, waiting: [] };
    lines.set(connection, line);
    // Node's server resumes it too, whenever it has dealt with a request.
    connection.on('resume', () => {
      if (line.waiting.length >= pausedAt) connection.pause();
    });
    return line;
  };

  const next = (connection: Duplex, line: Line): void => {
    line.isBusy = false;
    if (connection.destroyed) return;
    const begin = line.waiting.shift();
    if (line.waiting.length < pausedAt) connection.resume();
    if (begin === undefined) return;
    line.isBusy = true;
    begin();
  };

  return {
    take(connection, response, begin) {
      const line = lineOf(connection);
      response.once('close', () => next(connection, line));
      if (!line.isBusy) {
        line.isBusy = true;
        begin();
        return;
      }
      line.waiting.push(begin);
      if (line.waiting.length >= pausedAt) connection.pause();
      if (line.waiting.length > waitingMax) {
        line.waiting = [];
        resetSocket(connection);
      }
    },
    isBusy: (connection) => lines.get(connection)?.isBusy === true,
  };
}
