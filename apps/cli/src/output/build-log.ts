import { styleText } from 'node:util';
import type { LogEntry } from 'e2b';

/**
 * Prints the log of a build as it arrives. Parts of it come from the sandbox, so control characters
 * are removed.
 */
export function createBuildLogPrinter(verbose: boolean, print: (line: string) => void): (entry: LogEntry) => void {
  const startedAt = Date.now();
  return ({ level, message }) => {
    if (level === 'debug' && !verbose) return;
    const seconds = `${((Date.now() - startedAt) / 1000).toFixed(1)} s`.padStart(8);
    const text = message.replace(/[^\P{Cc}\t\n]/gu, '').trimEnd();
    const color = level === 'error' ? 'red' : level === 'warn' ? 'yellow' : undefined;
    const line = color === undefined ? text : styleText(color, text, { stream: process.stderr });
    print(`${styleText('dim', seconds, { stream: process.stderr })}  ${line}`);
  };
}
