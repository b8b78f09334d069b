import { closeSync } from 'node:fs';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import { setNonBlocking } from '../sys/pipe.ts';
import { writeDescriptor } from '../sys/write-descriptor.ts';

/** Maximum calls that wait for a process to read. Their bytes are held in memory. */
const maxWaiting = 64;

/** Writes to a process: to its standard input or its terminal. Owns the descriptor. */
export interface InputWriter {
  /**
   * Resolves when the kernel has accepted all bytes. Throws process_state if the input is closed. `onWritten` counts the
   * accepted bytes, also of a write that fails.
   */
  write(bytes: Uint8Array, signal: AbortSignal, onWritten?: (count: number) => void): Promise<void>;
  /** Whether the input is closed. */
  readonly isClosed: boolean;
  /** Closes after the current writes. May be called twice. */
  close(): Promise<void>;
  /** Closes now. Pending writes fail with process_state. */
  destroy(): void;
}

export function createInputWriter(fd: number): InputWriter {
  setNonBlocking(fd);
  const gone = new AbortController();
  let waiting = 0;
  // One write at a time, in the order of the calls. Otherwise their bytes would mix.
  let tail: Promise<void> = Promise.resolve();
  let isOpen = true;

  async function writeNow(bytes: Uint8Array, signal: AbortSignal, onWritten?: (count: number) => void): Promise<void> {
    if (!isOpen) throw closedError();
    try {
      await writeDescriptor(fd, bytes, AbortSignal.any([signal, gone.signal]), onWritten);
    } catch (error) {
      if (gone.signal.aborted || (isNodeError(error) && error.code === 'EPIPE')) throw closedError();
      throw error;
    }
  }

  function destroy(): void {
    if (!isOpen) return;
    isOpen = false;
    // Before the close, because the number may soon belong to another file.
    gone.abort();
    closeSync(fd);
  }

  return {
    get isClosed() {
      return !isOpen;
    },
    async write(bytes, signal, onWritten) {
      if (waiting >= maxWaiting)
        throw new SoulBoxError('limit_exceeded', 'The process does not read its input. Retry later.');
      waiting += 1;
      const turn = tail.then(() => writeNow(bytes, signal, onWritten));
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
