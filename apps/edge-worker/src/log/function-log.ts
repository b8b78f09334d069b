import { functionLogLineMax } from '@soulbox/contract/functions';
import type { FunctionLogLine } from '@soulbox/contract/functions';

/** Limit of the lines that are kept while the host is not listening. Older lines are dropped first. */
const linesMax = 1000;
const charactersMax = 256 * 1024;

type NewLine = Pick<FunctionLogLine, 'source' | 'level' | 'message'>;

/** The newest lines of a function's log. */
export interface FunctionLog {
  add(line: NewLine): void;
  after(seq: number): FunctionLogLine[];
  /** Calls back when there are new lines. Supports one listener. */
  onAdded(listener: () => void): void;
}

export function createFunctionLog(): FunctionLog {
  const lines: FunctionLogLine[] = [];
  let characters = 0;
  let seq = 0;
  let tell = (): void => undefined;
  return {
    add({ source, level, message }) {
      seq += 1;
      const short = message.length > functionLogLineMax ? `${message.slice(0, functionLogLineMax)}…` : message;
      lines.push({ seq, atMs: Date.now(), level, source, message: short });
      characters += short.length;
      while (lines.length > linesMax || characters > charactersMax) characters -= lines.shift()?.message.length ?? 0;
      tell();
    },
    after: (last) => lines.filter((line) => line.seq > last),
    onAdded(listener) {
      tell = listener;
    },
  };
}
