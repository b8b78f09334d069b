import { connect, Socket } from 'node:net';
import type { OnReadOpts, SocketConstructorOpts, TcpNetConnectOpts } from 'node:net';

/** Node's own size. Bytes. */
export const sharedBytes = 64 * 2 ** 10;
/**
 * Where all sockets read that have no buffer of their own. The kernel fills it right before `take`, so its bytes are
 * valid only until then.
 */
const shared = Buffer.allocUnsafeSlow(sharedBytes);

/** Takes what a socket reads, in place of its stream. */
export interface SocketReader {
  /**
   * `isShared`: the memory is overwritten after this call. Otherwise the bytes are in what `buffer` has returned. Returns
   * whether to read on; `resume` of the socket does that later.
   */
  take(bytes: Buffer, isShared: boolean): boolean;
  /** The memory for the next bytes. It must stay valid until the next call, or until the socket has closed. */
  buffer(): Buffer | undefined;
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
  for (let bytes = read(socket); bytes !== null; bytes = read(socket)) reader.take(Buffer.from(bytes), true);
  readers.set(socket, reader);
}

const read = (socket: Socket): Buffer | null => socket.read() as Buffer | null;

function createReading(): { onread: OnReadOpts; attach(socket: Socket): Socket } {
  let owner: Socket | undefined;
  const readerOf = (): SocketReader | undefined => (owner === undefined ? undefined : readers.get(owner));
  return {
    onread: {
      // Node asks for it at the beginning and after each read.
      buffer: () => readerOf()?.buffer() ?? shared,
      callback(count, into) {
        const bytes = into.subarray(0, count) as Buffer;
        const reader = readerOf();
        if (reader !== undefined) return reader.take(bytes, into === shared);
        return owner?.push(Buffer.from(bytes)) ?? false;
      },
    },
    attach: (socket) => (owner = socket),
  };
}
