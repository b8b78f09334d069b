import { styleText } from 'node:util';

export interface Progress extends Disposable {
  /** A new step begins; the one before it is done. */
  step(text: string): void;
}

/**
 * Shows on standard error what long work is at: on a terminal one line with a running clock, elsewhere, and beside other work, a line
 * per step. Disposing clears the line.
 */
export function createProgress(label: string, { isAlone = true }: { readonly isAlone?: boolean } = {}): Progress {
  const terminal = process.stderr.isTTY && isAlone;
  const startedAt = Date.now();
  let current = '';
  const draw = (): void => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(0);
    process.stderr.write(`\r\x1b[2K${styleText('cyan', label)} ${current} ${styleText('dim', `${seconds} s`)}`);
  };
  const timer = terminal ? setInterval(() => current !== '' && draw(), 500).unref() : undefined;
  return {
    step(text) {
      current = text;
      if (terminal) draw();
      else process.stderr.write(`${label} ${text} (${((Date.now() - startedAt) / 1000).toFixed(1)} s)\n`);
    },
    [Symbol.dispose]() {
      clearInterval(timer);
      if (terminal && current !== '') process.stderr.write('\r\x1b[2K');
    },
  };
}
