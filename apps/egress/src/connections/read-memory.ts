import type { Socket } from 'node:net';
import type { Lease } from '../sockets/large-buffers.ts';
import { sharedBytes } from '../sockets/socket-reader.ts';

/** Below that, a read shows that the connection does not need a large buffer now. Bytes. */
const fewBytes = sharedBytes / 4;

/** What one direction of a connection reads into: a large buffer while it moves many bytes, otherwise the shared one. */
export interface ReadMemory {
  /** So many bytes were read at once. */
  filled(bytes: number): void;
  /** The memory for the next read. Undefined: the shared one. */
  next(): Buffer | undefined;
  /** The large buffer has bytes that a peer has not taken. Until `unpin` nothing may be read, and it is not given back. */
  pin(): void;
  unpin(): void;
  isPinned(): boolean;
}

/** Gives the buffer back when the socket has closed. */
export function createReadMemory(socket: Socket, leaseBuffer: () => Lease | undefined): ReadMemory {
  let lease: Lease | undefined;
  let isPinned = false;
  let isClosed = false;
  let lastBytes = 0;
  const release = (): void => {
    lease?.release();
    lease = undefined;
  };
  socket.once('close', () => {
    isClosed = true;
    if (!isPinned) release();
  });
  return {
    filled: (bytes) => void (lastBytes = bytes),
    next() {
      if (isPinned || isClosed) return lease?.buffer;
      if (lease !== undefined && lastBytes < fewBytes) release();
      else if (lease === undefined && lastBytes >= sharedBytes) lease = leaseBuffer();
      return lease?.buffer;
    },
    pin: () => void (isPinned = true),
    unpin() {
      isPinned = false;
      if (isClosed) release();
    },
    isPinned: () => isPinned,
  };
}
