import { writeSync } from 'node:fs';
import type { Reply } from '../protocol.ts';
import { repliesFd } from './descriptors.ts';

// Bound here because code may replace the originals.
const [write, stringify, bytesOf] = [writeSync, JSON.stringify, Buffer.from.bind(Buffer)];
const pause = new Int32Array(new SharedArrayBuffer(4));

export function reply(message: Reply): void {
  writeText(repliesFd, `${stringify(message)}\n`);
}

/** Writes the whole text. While the pipe is full the code waits, as it would at a terminal. */
export function writeText(fd: number, text: string | Uint8Array): void {
  const bytes = typeof text === 'string' ? bytesOf(text) : text;
  for (let done = 0; done < bytes.length;) {
    try {
      done += write(fd, bytes, done);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') return;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}
