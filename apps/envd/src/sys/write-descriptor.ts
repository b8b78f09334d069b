import { writeSync } from 'node:fs';
import { isNodeError, sleepUnlessAborted } from '@soulbox/base';

/** The first and the longest wait for a slow reader, in milliseconds. */
const firstWaitMs = 1;
const longestWaitMs = 25;

/**
 * Writes all bytes to a non-blocking pipe or terminal, and waits while it is full. Rejects with EPIPE if there is no
 * reader any more, and with the signal's reason when it aborts. Some bytes may have been written by then; `onWritten`
 * counts them.
 */
export async function writeDescriptor(
  fd: number,
  bytes: Uint8Array,
  signal: AbortSignal,
  onWritten: (count: number) => void = () => undefined,
): Promise<void> {
  let offset = 0;
  let waitMs = firstWaitMs;
  while (offset < bytes.length) {
    signal.throwIfAborted();
    const written = tryWrite(fd, bytes.subarray(offset));
    offset += written;
    onWritten(written);
    if (written > 0) waitMs = firstWaitMs;
    else {
      await sleepUnlessAborted(waitMs, signal);
      waitMs = Math.min(waitMs * 2, longestWaitMs);
    }
  }
}

/** The number of bytes written. 0 if the pipe is full. */
function tryWrite(fd: number, bytes: Uint8Array): number {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    if (isNodeError(error) && error.code === 'EAGAIN') return 0;
    throw error;
  }
}
