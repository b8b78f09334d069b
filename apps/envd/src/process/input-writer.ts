import { closeSync } from 'node:fs';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { setNonBlocking } from '../sys/pipe.ts';
import { writeDescriptor } from '../sys/write-descriptor.ts';

/** Calls that may wait for a process to read; their bytes are held in memory. */
const maxWaiting = 64;

/** The way into a process: its standard input or its terminal. Owns the descriptor. */
export interface InputWriter {
  /** Resolves when the kernel has taken all bytes. Throws process_state when the input is closed. */
  write(bytes: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Closes after what is being written. Closing twice is fine. */
  close(): Promise<void>;
  /** Closes now; whoever still writes gets process_state. */
  destroy(): void;
}

export function createInputWriter(fd: number): InputWriter {
  setNonBlocking(fd);
  const gone = new AbortController();
  let waiting = 0;
  // One write at a time, in the order of the calls, or their bytes would mix.
  let tail: Promise<void> = Promise.resolve();
  let isOpen = true;

  async function writeNow(bytes: Uint8Array, signal: AbortSignal): Promise<void> {
    if (!isOpen) throw closedError();
    try {
      await writeDescriptor(fd, bytes, AbortSignal.any([signal, gone.signal]));
    } catch (error) {
      if (gone.signal.aborted || (isNodeError(error) && error.code === 'EPIPE')) throw closedError();
      throw error;
    }
  }

  function destroy(): void {
    if (!isOpen) return;
    isOpen = false;
    // Before the close: the number may soon belong to another file.
    gone.abort();
    closeSync(fd);
  }

  return {
    async write(bytes, signal) {
      if (waiting >= maxWaiting)
        throw new SoulBoxError('limit_exceeded', 'The process does not read its input. Retry later.');
      waiting += 1;
      const turn = tail.then(() => writeNow(bytes, signal));
      tail = turn.catch(() => undefined);
      await turn.finally(() => (waiting -= 1));
    },
    async close() {
      await tail;
      destroy();
    },
    destroy,
  };
}

function closedError(): SoulBoxError {
  return new SoulBoxError('process_state', 'The input of the process is closed.');
}
