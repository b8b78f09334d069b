import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { IdleTimer } from './idle-timer.ts';

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Serves a connection. */
export type Acceptor = (socket: Socket, timer: IdleTimer) => void;
