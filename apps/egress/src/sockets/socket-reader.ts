import { connect, Socket } from 'node:net';
import type { OnReadOpts, SocketConstructorOpts, TcpNetConnectOpts } from 'node:net';

/** Node's own size. Bytes. */
const fewBytes = 64 * 2 ** 10;
/** A fast connection needs a quarter of the wake-ups with it; 2 MiB gain nothing. Bytes. */
const manyBytes = 2 ** 20;
/** Where all sockets read. The kernel fills it right before `take`, and the next socket overwrites it. */
const many = Buffer.allocUnsafeSlow(manyBytes);
const few = many.subarray(0, fewBytes);

/** Takes what a socket reads, in place of its stream. */
export interface SocketReader {
  /** The bytes are valid only during the call. Returns whether to read on; `resume` of the socket does that later. */
  take(bytes: Buffer): boolean;
  /** Whether the next read may be large, 1 MiB instead of 64 KiB. */
  mayTakeMuch(): boolean;
}

const readers = new WeakMap<Socket, SocketReader>();

/**
 * Connects like `net.connect`. The socket is an ordinary one until `readWith`: only then do its bytes get around Node's
 * stream, which allocates memory for each chunk.
 */
export function connectSocket(options: TcpNetConnectOpts): Socket {
  const reading = createReading();
  return reading.attach(connect({ ...options, onread: reading.onread }));
}

/** The same for a connection that a server has accepted with `pauseOnConnect`. The socket of the server is used up. */
export function adoptSocket(accepted: Socket): Socket {
  const owner = accepted as unknown as { _handle: unknown };
  const handle = owner._handle;
  owner._handle = null;
  // It has no connection any more; the server forgets it.
  accepted.destroy();
  const reading = createReading();
  // A server creates its sockets in this way, but gives them no `onread`.
  const options = { handle, pauseOnCreate: true, allowHalfOpen: true, onread: reading.onread };
  return reading.attach(new Socket(options as SocketConstructorOpts));
}

/** From now on the reader gets the bytes, after those that the socket has in memory already. */
export function readWith(socket: Socket, reader: SocketReader): void {
  for (let bytes = read(socket); bytes !== null; bytes = read(socket)) reader.take(bytes);
  readers.set(socket, reader);
}

const read = (socket: Socket): Buffer | null => socket.read() as Buffer | null;

function createReading(): { onread: OnReadOpts; attach(socket: Socket): Socket } {
  let owner: Socket | undefined;
  const readerOf = (): SocketReader | undefined => (owner === undefined ? undefined : readers.get(owner));
  return {
    onread: {
      // Node asks for it at the beginning and after each read.
      buffer: () => (readerOf()?.mayTakeMuch() === true ? many : few),
      callback(count, into) {
        const bytes = into.subarray(0, count) as Buffer;
        const reader = readerOf();
        if (reader !== undefined) return reader.take(bytes);
        return owner?.push(Buffer.from(bytes)) ?? false;
      },
    },
    attach: (socket) => (owner = socket),
  };
}
