import { once } from 'node:events';
import { exitCodes } from '../command-line/exit-codes.ts';
import { onUnread } from '../output/reader.ts';

/**
 * Writes a file of a sandbox to standard output. If that is no longer read, what the sandbox runs for it is ended too.
 * Returns the exit code of the command.
 */
export async function printBytes(
  open: (signal: AbortSignal) => AsyncIterable<Uint8Array>,
  signal: AbortSignal,
): Promise<number> {
  const { stdout } = process;
  const unread = new AbortController();
  using _ = onUnread(() => unread.abort());
  const stop = AbortSignal.any([signal, unread.signal]);
  try {
    for await (const piece of open(stop)) {
      if (!stdout.write(piece)) await once(stdout, 'drain', { signal: stop });
    }
    return exitCodes.ok;
  } catch (error) {
    if (unread.signal.aborted) return exitCodes.unread;
    throw error;
  }
}
