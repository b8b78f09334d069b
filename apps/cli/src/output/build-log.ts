import { styleText } from 'node:util';
import type { LogEntry } from 'e2b';

/**
 * Prints the log of a build on standard error as it arrives. Parts of it come from the sandbox, so control characters
 * are removed.
 */
export function createBuildLogPrinter(verbose: boolean): (entry: LogEntry) => void {
  const startedAt = Date.now();
  return ({ level, message }) => {
    if (level === 'debug' && !verbose) return;
    const seconds = `${((Date.now() - startedAt) / 1000).toFixed(1)} s`.padStart(8);
    const text = message.replace(/[^\P{Cc}\t\n]/gu, '').trimEnd();
    const color = level === 'error' ? 'red' : level === 'warn' ? 'yellow' : undefined;
    const line = color === undefined ? text : styleText(color, text, { stream: process.stderr });
    process.stderr.write(`${styleText('dim', seconds, { stream: process.stderr })}  ${line}\n`);
  };
}
