import type { Socket } from 'node:net';
import type { ServerChannel } from 'ssh2';
import { outgoingHighBytes } from '../limits.ts';

/**
 * Writes to a channel at the pace of the client. The library writes to the socket without looking whether it takes
 * anything, up to the window that the client has granted, which may be gigabytes. So this waits for the socket, too. One
 * write at a time: the library resumes only one of two that wait for a window.
 */
export interface ChannelOutput {
  /** Resolves when the channel has taken the bytes, or is closed. */
  write(to: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void>;
  readonly closed: Promise<void>;
  readonly isClosed: () => boolean;
}

export function createChannelOutput(channel: ServerChannel, socket: Socket): ChannelOutput {
  const { promise: closed, resolve } = Promise.withResolvers<undefined>();
  let isClosed = false;
  const close = (): void => {
    isClosed = true;
    resolve(undefined);
  };
  channel.on('close', close);
  socket.on('close', close);
  channel.on('error', () => undefined);
  channel.stderr.on('error', () => undefined);
  const room = async (): Promise<void> => {
    while (!isClosed && socket.writableLength > outgoingHighBytes)
      await Promise.race([new Promise((go) => socket.once('drain', go)), closed]);
  };
  let turn: Promise<unknown> = Promise.resolve();
  const write = async (to: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> => {
    await room();
    if (isClosed) return;
    const stream = to === 'stdout' ? channel : channel.stderr;
    const taken = new Promise<void>((done) => stream.write(Buffer.from(bytes), () => done()));
    await Promise.race([taken, closed]);
  };
  return {
    write: async (to, bytes) => {
      const next = turn.then(async () => await write(to, bytes));
      turn = next;
      await next;
    },
    closed,
    isClosed: () => isClosed,
  };
}
