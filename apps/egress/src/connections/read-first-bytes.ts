import type { Socket } from 'node:net';
import { firstBytesMax, parseFirstBytes } from '../first-bytes/first-bytes.ts';
import type { FirstBytes } from '../first-bytes/first-bytes.ts';

/**
 * Reads the bytes from which a connection is judged. Afterward the socket is paused, and the bytes are no longer in it.
 * Bytes that do not come in time, or are never enough, say nothing. Rejects only with the signal's reason.
 */
export async function readFirstBytes(
  socket: Socket,
  options: { readonly timeoutMs: number; readonly signal: AbortSignal },
): Promise<{ first: FirstBytes; bytes: Buffer }> {
  const { timeoutMs, signal } = options;
  signal.throwIfAborted();
  let bytes: Buffer = Buffer.alloc(0);
  return await new Promise((resolve, reject) => {
    const settle = (): void => {
      clearTimeout(timer);
      socket.pause();
      socket.off('data', onData).off('end', onEnd).off('close', onEnd);
      signal.removeEventListener('abort', onAbort);
    };
    const finish = (first: FirstBytes): void => {
      settle();
      resolve({ first, bytes });
    };
    const onData = (chunk: Buffer): void => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const first = parseFirstBytes(bytes);
      if (first !== undefined) finish(first);
      else if (bytes.length >= firstBytesMax) finish({ protocol: 'other' });
    };
    const onEnd = (): void => finish({ protocol: 'other' });
    const onAbort = (): void => {
      settle();
      reject(signal.reason as Error);
    };
    const timer = setTimeout(onEnd, timeoutMs);
    signal.addEventListener('abort', onAbort, { once: true });
    socket.on('data', onData).on('end', onEnd).on('close', onEnd);
    socket.resume();
  });
}
