import type { Duplex } from 'node:stream';

/**
 * Stops Node's HTTP/1.1 server from reading further requests of a connection that is about to be reset. Without it, the
 * parser emits every request of the bytes that it has read although the connection is destroyed, and each of them gets an
 * error with a stack: 64 KiB of them cost up to 0.1 s of CPU time.
 *
 * Node has no documented way. The parser calls `onIncoming` for each request, and a result of 2 means that another
 * protocol follows (Node 24, `lib/_http_server.js`).
 */
export function stopParsing(connection: Duplex & { parser?: { onIncoming: () => number } | null }): void {
  const { parser } = connection;
  if (parser) parser.onIncoming = () => 2;
}
