import { write, writeSync } from 'node:fs';
import type { LogFile } from './log-file.ts';

/** Maximum bytes of lines that wait for the file. Further lines are dropped and counted. */
const waitingBytesMax = 4 * 1024 * 1024;
/** Bytes per write. */
const writeBytesMax = 64 * 1024;
/**
 * Delays after a failed write, in milliseconds: for a reader that is slow for a moment (EAGAIN), and for all other
 * errors such as a full disk.
 */
const retryBusyMs = 100;
const retryMs = 1000;

/** Flushes waiting lines once more at the exit. One listener serves all destinations of a process. */
const atExit = new Set<() => void>();
process.once('exit', () => {
  for (const flush of atExit) {
    try {
      flush();
    } catch {
      // The lines are lost, and nobody is left to report it to.
    }
  }
});

export interface LogDestination {
  /** Accepts one whole line. Never throws and never waits. */
  write(line: string): void;
  /** The number of lines lost so far. */
  droppedLines(): number;
  /** Reopens the file before the next line is written. */
  reopen(): void;
}

/**
 * Writes lines to a log file in the background, and rotates the file between two lines when that is due. If the file
 * accepts no data (its disk is full, or nobody reads the pipe), the write is retried without end. Meanwhile lines wait,
 * and further ones are dropped. The log never stops the process and never delays its exit. `onRoom` is called with the
 * number of lost lines once there is room again.
 *
 * pino's own destination (sonic-boom, which pino-roll builds on) cannot do this: its `error` event kills the process,
 * and at the exit it retries the write for ever.
 */
export function createLogDestination(file: LogFile, onRoom: (lostLines: number) => void): LogDestination {
  const waiting: string[] = [];
  let waitingBytes = 0;
  /** Taken from `waiting` and not yet completely written. */
  let current: Buffer = Buffer.alloc(0);
  let busy = false;
  let inFlight = false;
  let dropped = 0;
  let reported = 0;

  const take = (): Buffer => {
    const lines: string[] = [];
    for (let bytes = 0; bytes < writeBytesMax && waiting.length > 0;) {
      const line = waiting.shift() ?? '';
      lines.push(line);
      bytes += Buffer.byteLength(line);
    }
    return Buffer.from(lines.join(''));
  };
  const wrote = (count: number): void => {
    current = current.subarray(count);
    waitingBytes -= count;
    file.wrote(count);
  };

  const writeNext = (): void => {
    if (current.length === 0 && waiting.length > 0 && file.isDue()) {
      busy = true;
      void file.turn().then(writeNext);
      return;
    }
    if (current.length === 0) current = take();
    busy = current.length > 0;
    if (busy) {
      inFlight = true;
      write(file.fd(), current, 0, current.length, null, written);
    } else if (dropped > reported) {
      const lost = dropped - reported;
      reported = dropped;
      onRoom(lost);
    }
  };
  const written = (error: NodeJS.ErrnoException | null, count: number): void => {
    inFlight = false;
    if (error === null) {
      wrote(count);
      writeNext();
    } else setTimeout(writeNext, error.code === 'EAGAIN' ? retryBusyMs : retryMs).unref();
  };

  atExit.add(() => {
    // A write in flight either reaches the file or does not; it is not repeated here.
    if (inFlight || current.length === 0) current = take();
    while (current.length > 0) {
      wrote(writeSync(file.fd(), current));
      if (current.length === 0) current = take();
    }
  });

  return {
    write(line) {
      const bytes = Buffer.byteLength(line);
      if (waitingBytes + bytes > waitingBytesMax) {
        dropped += 1;
        return;
      }
      waiting.push(line);
      waitingBytes += bytes;
      if (!busy) writeNext();
    },
    droppedLines: () => dropped,
    reopen: () => file.wantReopened(),
  };
}
