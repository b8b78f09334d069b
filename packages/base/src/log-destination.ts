import { write, writeSync } from 'node:fs';
import type { LogFile } from './log-file.ts';

/** Bytes of lines that wait for the file. Those that come when so many wait are dropped and counted. */
const waitingBytesMax = 4 * 1024 * 1024;
/** Bytes of one write. */
const writeBytesMax = 64 * 1024;
/** After a write that failed: a reader that is slow for a moment, and a full disk or whatever else. Milliseconds. */
const retryBusyMs = 100;
const retryMs = 1000;

/** Gives what still waits one more chance; one listener for all destinations of a process. */
const atExit = new Set<() => void>();
process.once('exit', () => {
  for (const flush of atExit) {
    try {
      flush();
    } catch {
      // The lines are lost, and so is whom to tell.
    }
  }
});

export interface LogDestination {
  /** A whole line. Never throws and never waits. */
  write(line: string): void;
  /** Lines lost so far. */
  droppedLines(): number;
  /** Opens the file anew before the next line is written. */
  reopen(): void;
}

/**
 * Writes lines to a log file in the background, and turns it over between two lines when that is due. A file that takes none (its disk is full, or nobody reads the pipe) is tried again
 * without end, while lines wait, then are dropped: it never stops the process, nor its exit. `onRoom` is told how many were lost
 * once there is room again.
 *
 * pino's own destination (sonic-boom, which pino-roll builds on) does neither: it has an `error` event that kills the process, and at
 * the exit it tries to write for ever.
 */
export function createLogDestination(file: LogFile, onRoom: (lostLines: number) => void): LogDestination {
  const waiting: string[] = [];
  let waitingBytes = 0;
  /** Taken from `waiting`, and not all of it written. */
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

  const goOn = (): void => {
    if (current.length === 0 && waiting.length > 0 && file.isDue()) {
      busy = true;
      void file.turn().then(goOn);
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
      goOn();
    } else setTimeout(goOn, error.code === 'EAGAIN' ? retryBusyMs : retryMs).unref();
  };

  atExit.add(() => {
    // A write in flight reaches the file or not, without us.
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
      if (!busy) goOn();
    },
    droppedLines: () => dropped,
    reopen: () => file.wantReopened(),
  };
}
