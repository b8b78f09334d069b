import { setTimeout as sleep } from 'node:timers/promises';
import { setNonBlocking } from '../sys/pipe.ts';
import type { TerminalSize } from '../sys/pseudo-terminal.ts';
import { resizeTerminal } from '../sys/pseudo-terminal.ts';
import { readDescriptor } from '../sys/read-descriptor.ts';
import { writeDescriptor } from '../sys/write-descriptor.ts';

/** How long to wait for the last output of a command if something else keeps its terminal open. */
const lastWordsMs = 200;

interface ConnectedTerminal extends AsyncDisposable {
  /** Resolves when all output of the command was written. */
  finished(): Promise<void>;
}

export function terminalSize(): TerminalSize {
  const { columns, rows } = process.stdout;
  return { cols: columns > 0 ? columns : 80, rows: rows > 0 ? rows : 24 };
}

/** Connects the terminal of this program to another one's master. Keys, including Ctrl-C, are passed on unchanged. */
export function connectTerminal(master: number): ConnectedTerminal {
  const gone = new AbortController();
  setNonBlocking(master);
  process.stdin.setRawMode(true);
  // One write at a time, so that keyboard input waits for a program that does not read.
  process.stdin.on('data', (bytes: Buffer) => {
    process.stdin.pause();
    writeDescriptor(master, bytes, gone.signal).then(
      () => process.stdin.resume(),
      () => undefined,
    );
  });
  process.on('SIGWINCH', () => resizeTerminal(master, terminalSize()));
  const reader = readDescriptor(master);
  const output = (async () => {
    for (let bytes = await reader.read(); bytes !== undefined; bytes = await reader.read())
      if (!process.stdout.write(bytes)) await new Promise((resolve) => process.stdout.once('drain', resolve));
  })();
  return {
    finished: async () => {
      await Promise.race([output, sleep(lastWordsMs)]);
    },
    [Symbol.asyncDispose]: async () => {
      gone.abort();
      reader.cancel();
      process.stdin.setRawMode(false);
      process.stdin.pause();
      await Promise.resolve();
    },
  };
}
