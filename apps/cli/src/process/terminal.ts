import { spawnSync } from 'node:child_process';
import type { ReadStream, WriteStream } from 'node:tty';

export interface Size {
  readonly cols: number;
  readonly rows: number;
}

/** Of a terminal that does not say. */
const usualSize: Size = { cols: 80, rows: 24 };
/** The kernel stores 16 bits. */
const cellsMax = 65_535;

/** The size of a terminal, whatever it claims. 0 means that it does not know. */
export function sizeOf({ columns, rows }: { readonly columns?: unknown; readonly rows?: unknown }): Size {
  const cells = (given: unknown, usual: number): number =>
    typeof given === 'number' && given >= 1 ? Math.min(Math.floor(given), cellsMax) : usual;
  return { cols: cells(columns, usualSize.cols), rows: cells(rows, usualSize.rows) };
}

/**
 * Passes each key on as it is, until it is disposed. Nothing if it is no terminal. Node restores the mode of the terminal
 * too when the process ends.
 */
export function enterRawMode(input: Pick<ReadStream, 'isTTY' | 'setRawMode'>): Disposable {
  if (!input.isTTY) return { [Symbol.dispose]: () => undefined };
  input.setRawMode(true);
  // Node's raw mode still puts a carriage return before each line feed that a program writes.
  spawnSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  return {
    [Symbol.dispose]() {
      try {
        input.setRawMode(false);
      } catch {
        // The terminal has gone.
      }
    },
  };
}

/**
 * Of what a program that goes on may have changed: mouse reports, pasted text in brackets, a hidden cursor, colors, and
 * the second screen of editors.
 */
const usualModes = ['[?1000l', '[?1002l', '[?1003l', '[?1006l', '[?2004l', '[?25h', '[0m', '[?1049l'];

export function resetModes(output: Pick<WriteStream, 'isTTY' | 'write'>): void {
  if (output.isTTY) output.write(usualModes.map((mode) => `\x1b${mode}`).join(''));
}
