import { flushCompileCache } from 'node:module';
import { compileCacheFolder } from '@soulbox/host/installation';
import { nodeFlags, nodeVariables } from '@soulbox/process/node-flags';
import { markedEnvironment } from '../config.ts';

/**
 * Starts the same command again in the same process, marked as prepared. It then has the flags of the server's
 * processes and none of the memory that the preparation used. Returns only if Node does not support this.
 */
export function startAnew(): void {
  // Node writes the cache when a process ends, but this one does not end.
  flushCompileCache();
  const environment = markedEnvironment({ ...nodeVariables, NODE_COMPILE_CACHE: compileCacheFolder() });
  process.execve?.(process.execPath, [process.execPath, ...nodeFlags, ...process.argv.slice(1)], environment);
}
