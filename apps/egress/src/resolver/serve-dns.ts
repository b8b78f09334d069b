import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { once } from 'node:events';
import type { AnswerMessage } from './answer.ts';
import { questionMaxBytes } from './question.ts';

/** Open TCP connections for look-ups, of one address and together. */
const connectionsPerAddressMax = 16;
const connectionsMax = 2000;
/** A connection for look-ups without a question is closed after this time. Milliseconds. */
const idleMs = 10_000;
/** Questions of one connection that wait for their answers. */
const pipelinedMax = 16;
/** Datagrams that wait in the kernel. Many sandboxes ask at the same time. */
const receiveBufferBytes = 4 * 2 ** 20;

export interface DnsServer extends AsyncDisposable {
  readonly port: number;
}

/** Serves look-ups over UDP and TCP on the same port. Rejects with Node's error if one is in use. */
export async function serveDns(address: string, port: number, answer: AnswerMessage): Promise<DnsServer> {
  await using cleanup = new AsyncDisposableStack();
  const tcp = createServer({ allowHalfOpen: false, noDelay: true });
  const sockets = new Map<string, Set<Socket>>();
  let open = 0;
  tcp.on('connection', (socket) => {
    const from = socket.remoteAddress ?? '';
    const own = sockets.get(from) ?? new Set();
    if (own.size >= connectionsPerAddressMax || open >= connectionsMax) {
      socket.resetAndDestroy();
      return;
    }
    sockets.set(from, own.add(socket));
    open += 1;
    socket.once('close', () => {
      open -= 1;
      own.delete(socket);
      if (own.size === 0) sockets.delete(from);
    });
    serveConnection(socket, from, answer);
  });
  tcp.listen({ host: address, port });
  await once(tcp, 'listening');
  cleanup.defer(async () => {
    const closed = once(tcp, 'close');
    tcp.close();
    for (const own of sockets.values()) for (const socket of own) socket.destroy();
    await closed;
  });
  const bound = (tcp.address() as { port: number }).port;

  const udp = createSocket({ type: 'udp4', recvBufferSize: receiveBufferBytes });
  udp.on('message', (message, from) => {
    void answer(from.address, message, 'udp').then((reply) => {
      // A reply that cannot be sent is like one that is lost on the way.
      if (reply !== undefined && !isClosed) udp.send(reply, from.port, from.address, () => undefined);
    });
  });
  let isClosed = false;
  udp.bind(bound, address);
  await once(udp, 'listening');
  udp.on('error', () => undefined);
  cleanup.defer(() => {
    isClosed = true;
    udp.close();
  });
  const owned = cleanup.move();
  return { port: bound, [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

/** Messages have their length in two bytes in front (RFC 1035, 4.2.2). Replies may come in any order (RFC 7766). */
function serveConnection(socket: Socket, from: string, answer: AnswerMessage): void {
  let received: Buffer = Buffer.alloc(0);
  let waiting = 0;
  socket.setTimeout(idleMs, () => socket.destroy());
  socket.on('error', () => socket.destroy());
  const read = (): void => {
    while (received.length >= 2 && waiting < pipelinedMax) {
      const length = received.readUInt16BE(0);
      if (length > questionMaxBytes) {
        socket.destroy();
        return;
      }
      if (received.length < 2 + length) break;
      const message = received.subarray(2, 2 + length);
      received = received.subarray(2 + length);
      waiting += 1;
      void answer(from, message, 'tcp').then((reply) => {
        waiting -= 1;
        if (socket.destroyed) return;
        if (reply !== undefined) {
          const size = Buffer.alloc(2);
          size.writeUInt16BE(reply.length);
          socket.write(Buffer.concat([size, reply]));
        }
        read();
      });
    }
    // Who does not read its replies, or asks faster than it is answered, waits.
    if (waiting >= pipelinedMax || socket.writableNeedDrain) socket.pause();
    else socket.resume();
  };
  socket.on('drain', read);
  socket.on('data', (bytes) => {
    received = received.length === 0 ? bytes : Buffer.concat([received, bytes]);
    read();
  });
}
