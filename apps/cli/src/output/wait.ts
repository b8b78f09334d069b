import { stripVTControlCharacters, styleText } from 'node:util';
import { readSetting } from '../settings/read-setting.ts';

/** A line of standard error that says what is waited for, and for how long. */
export interface Wait extends Disposable {
  /** Prints a line above. */
  print(line: string): void;
}

interface WaitOptions {
  /** Elsewhere than at a terminal, the wait is a line of its own. Default true. */
  readonly isTold?: boolean;
  readonly isNever?: boolean;
  readonly output?: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>;
}

/** Shorter waits are not shown. Milliseconds. */
const shownAfterMs = 1000;
const stepMs = 500;
/** Of a terminal that does not say. */
const usualColumns = 80;
const clear = '\r\x1b[2K';

/**
 * Shows a wait once it has lasted a second: at a terminal as one line with a running clock, which disposing clears. Nothing
 * with the setting `progress` at `never`, as with `CI`.
 */
export function openWait(text: string, options: WaitOptions = {}): Wait {
  const { isTold = true, isNever = readSetting('progress') === 'never', output = process.stderr } = options;
  const startedAt = Date.now();
  const isLive = output.isTTY && !isNever;
  let isShown = false;
  const draw = (): void => {
    const seconds = ` ${((Date.now() - startedAt) / 1000).toFixed(0)} s`;
    const room = Math.max(1, (output.columns || usualColumns) - 1 - seconds.length);
    const shown = stripVTControlCharacters(text)
      .replaceAll(/\p{Cc}/gu, '')
      .slice(0, room);
    const clock = styleText('dim', seconds, { stream: process.stderr });
    output.write(`${clear}${styleText('cyan', shown, { stream: process.stderr })}${clock}`);
    isShown = true;
  };
  const begin = (): void => {
    if (isLive) {
      draw();
      timer = setInterval(draw, stepMs).unref();
    } else if (isTold && !isNever) output.write(`${text.replaceAll(/\p{Cc}/gu, '')}\n`);
  };
  let timer: NodeJS.Timeout = setTimeout(begin, shownAfterMs).unref();
  return {
    print(line) {
      output.write(isShown ? `${clear}${line}\n` : `${line}\n`);
      if (isShown) draw();
    },
    [Symbol.dispose]() {
      clearTimeout(timer);
      if (isShown) output.write(clear);
      isShown = false;
    },
  };
}

/** Shows the wait for work that has been started. */
export async function withWait<T>(text: string, work: Promise<T>): Promise<T> {
  using _wait = openWait(text);
  return await work;
}
