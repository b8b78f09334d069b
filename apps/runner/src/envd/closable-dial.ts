import type { Socket } from 'node:net';
import { SoulBoxError } from '@soulbox/base';
import type { Dial } from '@soulbox/contract';

/** A way into a sandbox that can be closed for good. */
export interface ClosableDial extends Disposable {
  readonly dial: Dial<Socket>;
}

/**
 * After disposal all connections are cut and no new ones open: a connection that reached a sandbox while it is being
 * saved would disturb the save.
 */
export function createClosableDial(dialOut: Dial<Socket>): ClosableDial {
  const open = new Set<Socket>();
  let isClosed = false;
  const checkOpen = (socket?: Socket): void => {
    if (!isClosed) return;
    socket?.destroy();
    throw new SoulBoxError('sandbox_unreachable', 'The sandbox no longer accepts connections.');
  };
  return {
    async dial(port) {
      checkOpen();
      const socket = await dialOut(port);
      checkOpen(socket);
      open.add(socket);
      socket.once('close', () => open.delete(socket));
      return socket;
    },
    [Symbol.dispose]() {
      isClosed = true;
      for (const socket of open) socket.destroy();
    },
  };
}
