import { flushCompileCache } from 'node:module';
import { nodeFlags } from '@soulbox/process/node-flags';
import { markedEnvironment } from '../config.ts';

/**
 * Runs the same command in the same process from its beginning, as one that has prepared everything: without the memory that this took,
 * and with the flags of the server's processes. Returns only where Node cannot do that.
 */
export function startAnew(): void {
  // Node writes it when a process ends, which this one does not.
  flushCompileCache();
  process.execve?.(process.execPath, [process.execPath, ...nodeFlags, ...process.argv.slice(1)], markedEnvironment());
}
