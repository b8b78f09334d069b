import type { ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { stopParsing } from '@soulbox/base';
import { resetSocket } from '../exchange/reset-socket.ts';

/** The number of waiting requests on a connection at which reading from it stops. */
const pausedAt = 8;
/**
 * One read of 64 KiB can contain more than a thousand requests. A connection with more than this many waiting is reset.
 */
const waitingMax = 64;

/**
 * Starts the requests of a connection one after the other, because their answers must be sent in order anyway (RFC
 * 9112, section 9.3.2). Node's server emits every request that it has read at once.
 */
export interface Turns {
  /** Calls `begin` when the previous answers are sent. Never calls it if the connection breaks first. */
  take(connection: Duplex, response: ServerResponse, begin: () => void): void;
  /** Whether a request has begun or is waiting. */
  isBusy(connection: Duplex): boolean;
}

interface Line {
  /** A request has begun and its answer is not yet sent. */
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
    // Node's server also resumes the connection after each request.
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
        stopParsing(connection);
        resetSocket(connection);
      }
    },
    isBusy: (connection) => lines.get(connection)?.isBusy === true,
  };
}
