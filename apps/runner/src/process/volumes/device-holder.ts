import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findProcess, isRunning } from '@soulbox/base';
import type { ProcessIdentity } from '@soulbox/base';

/** Descriptors 0 to 2 are those of every process. */
export const firstKeptFd = 3;

/**
 * Starts a process that has these descriptors open, from `firstKeptFd` on, and does nothing. It outlives this one, as the
 * sandbox does that needs them.
 */
export async function startHolder(descriptors: readonly number[]): Promise<ProcessIdentity> {
  const child = spawn('/usr/bin/sleep', ['infinity'], {
    cwd: '/',
    detached: true,
    env: {},
    stdio: ['ignore', 'ignore', 'ignore', ...descriptors],
  });
  await once(child, 'spawn');
  child.unref();
  const identity = findProcess(child.pid ?? 0);
  if (identity === undefined) throw new Error('The process that keeps the volumes of a sandbox ended at once.');
  return identity;
}

export function endHolder(holder: ProcessIdentity): void {
  try {
    if (isRunning(holder)) process.kill(holder.pid, 'SIGKILL');
  } catch {
    // It ended in this moment.
  }
}
