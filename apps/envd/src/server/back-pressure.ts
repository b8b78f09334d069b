import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { discardBody } from './discard-body.ts';

/** The number of requests that a client may send on one connection without waiting for answers. */
const maxPipelined = 32;

/** The reasons not to read from a connection: unread bodies and unanswered requests. */
interface Connection {
  readonly unreadBodies: Set<IncomingMessage>;
  unanswered: number;
}

const connections = new WeakMap<Socket, Connection>();

/**
 * Stops reading an HTTP/1 connection while a body is not consumed or too many requests wait. If the runtime's server is
 * given its connections, it ignores the result of `push` and would keep a complete upload in memory. HTTP/2 does not
 * need this, because it has flow control.
 */
export function applyBackPressure(request: IncomingMessage, response: ServerResponse): void {
  const { socket } = request;
  const connection = connections.get(socket) ?? { unreadBodies: new Set(), unanswered: 0 };
  connections.set(socket, connection);
  const update = (): void => {
    if (connection.unreadBodies.size > 0 || connection.unanswered > maxPipelined) socket.pause();
    else socket.resume();
  };
  const taken = (): void => {
    if (connection.unreadBodies.delete(request)) update();
  };
  const push = request.push.bind(request);
  const read = request._read.bind(request);
  request.push = (chunk: unknown, encoding?: BufferEncoding): boolean => {
    const hasRoom = push(chunk, encoding);
    if (!hasRoom && chunk !== null) {
      connection.unreadBodies.add(request);
      update();
    }
    return hasRoom;
  };
  request._read = (sizeBytes: number): void => {
    taken();
    read(sizeBytes);
  };
  request.once('close', taken);
  connection.unanswered += 1;
  response.once('close', () => {
    connection.unanswered -= 1;
    update();
  });
  // An answer may be sent before the body was read, or without reading it at all.
  response.once('finish', () => discardBody(request, response));
  update();
}
