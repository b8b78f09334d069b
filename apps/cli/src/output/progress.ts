import { styleText } from 'node:util';

const styled = (style: 'cyan' | 'dim', text: string): string => styleText(style, text, { stream: process.stderr });

export interface Progress extends Disposable {
  /** Starts a new step; the previous one is done. */
  step(text: string): void;
}

/**
 * Shows the progress of long work on standard error. On a terminal this is one line with a running clock. Elsewhere,
 * and beside other work, it is a line per step. Disposing clears the line.
 */
export function createProgress(label: string, { isAlone = true }: { readonly isAlone?: boolean } = {}): Progress {
  const terminal = process.stderr.isTTY && isAlone;
  const startedAt = Date.now();
  let current = '';
  const draw = (): void => {
    const seconds = ((Date.now() - startedAt) / 1000).toFixed(0);
    process.stderr.write(`\r\x1b[2K${styled('cyan', label)} ${current} ${styled('dim', `${seconds} s`)}`);
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
