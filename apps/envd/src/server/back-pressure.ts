import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { discardBody } from './discard-body.ts';

/** Requests a client may send on one connection without waiting for answers. */
const maxPipelined = 32;

/** What keeps a connection from being read: unread bodies and unanswered requests. */
interface Connection {
  readonly unreadBodies: Set<IncomingMessage>;
  unanswered: number;
}

const connections = new WeakMap<Socket, Connection>();

/**
 * Stops reading an HTTP/1 connection while a body is not taken or too many requests wait. The runtime's server, when it
 * is handed its connections, ignores what `push` answers and would keep a whole upload in memory. HTTP/2 needs none of
 * this: its windows do it.
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
  // An answer may come before the body was read, or without anybody reading it.
  response.once('finish', () => discardBody(request, response));
  update();
}
