import type { ServerChannel } from 'ssh2';
import { forgetWritten } from '../library.ts';
import type { Outlet } from '../outlet.ts';

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

export function createChannelOutput(channel: ServerChannel, outlet: Outlet): ChannelOutput {
  const { promise: closed, resolve } = Promise.withResolvers<undefined>();
  // Of the one write. No race with `closed`, which would remember each of them.
  const waiting = { room: (): void => undefined, end: (): void => undefined };
  let isClosed = false;
  const close = (): void => {
    isClosed = true;
    forget();
    waiting.room();
    waiting.end();
    resolve(undefined);
  };
  const forget = outlet.onChange(() => {
    if (outlet.isClosed()) close();
    else waiting.room();
  });
  channel.on('close', close);
  channel.on('error', () => undefined);
  channel.stderr.on('error', () => undefined);
  const write = async (to: 'stdout' | 'stderr', bytes: Uint8Array): Promise<void> => {
    while (!isClosed && !outlet.hasRoom()) await new Promise<void>((go) => (waiting.room = go));
    if (isClosed) return;
    const stream = to === 'stdout' ? channel : channel.stderr;
    await new Promise<void>((done) => {
      waiting.end = done;
      stream.write(Buffer.from(bytes), () => done());
    });
    forgetWritten(channel);
  };
  let turn: Promise<unknown> = Promise.resolve();
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
