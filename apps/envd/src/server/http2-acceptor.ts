import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http2';
import type { ServerHttp2Session } from 'node:http2';
import type { Acceptor, RequestHandler } from './acceptor.ts';
import type { IdleTimer } from './idle-timer.ts';

/** The window is large enough for fast uploads, and there are as many streams as a busy gateway needs. */
const settings = { initialWindowSize: 1024 * 1024, maxConcurrentStreams: 1000 };

/** Serves cleartext HTTP/2. */
export function createHttp2Acceptor(handler: RequestHandler): Acceptor {
  const timers = new WeakMap<ServerHttp2Session, IdleTimer>();
  const server = createServer({ settings }, (request, response) => {
    const { session } = response.stream;
    const http1Response = response as unknown as ServerResponse;
    if (session !== undefined) timers.get(session as ServerHttp2Session)?.requestBegins(http1Response);
    // The compatibility API has all HTTP/1 features that envd uses.
    handler(request as unknown as IncomingMessage, http1Response);
  });
  return (socket, timer) => {
    // Emitted synchronously, during the next line.
    server.once('session', (session) => timers.set(session, timer));
    server.emit('connection', socket);
  };
}
