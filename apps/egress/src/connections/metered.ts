import { Duplex } from 'node:stream';
import type { Socket } from 'node:net';

/**
 * A socket whose bytes are counted and slowed down. Only for connections with a speed limit: TLS on a stream that is not
 * a socket is several times slower.
 */
export function meterSocket(socket: Socket, count: (direction: 'sent' | 'received', bytes: number) => number): Duplex {
  const after = (delayMs: number, done: () => void): void => {
    if (delayMs <= 0) done();
    else if (delayMs !== Infinity) setTimeout(done, delayMs).unref();
  };
  const duplex = new Duplex({
    allowHalfOpen: true,
    read: () => void socket.resume(),
    write(chunk: Buffer, _encoding, done) {
      after(count('received', chunk.length), () => socket.write(chunk, done));
    },
    final: (done) => void socket.end(done),
    destroy(error, done) {
      if (error === null) socket.destroy();
      else socket.resetAndDestroy();
      done(error);
    },
  });
  socket.on('data', (chunk: Buffer) => {
    socket.pause();
    after(count('sent', chunk.length), () => {
      if (duplex.push(chunk)) socket.resume();
    });
  });
  socket.on('end', () => duplex.push(null));
  socket.on('close', () => duplex.destroy());
  socket.on('error', (error) => duplex.destroy(error));
  duplex.on('error', () => undefined);
  socket.pause();
  return duplex;
}
