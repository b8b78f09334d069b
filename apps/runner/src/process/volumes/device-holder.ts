import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { findProcess, isRunning } from '@soulbox/base';
import type { ProcessIdentity } from '@soulbox/base';

/** Descriptors 0 to 2 are those of every process. */
export const firstKeptFd = 3;

/** It ends unless it is told to stay: one that nobody has noted would be left for ever. */
const program = 'read -r _ && exec sleep infinity </dev/null';

export interface Holder extends ProcessIdentity {
  /** From now on it outlives this process, as the sandbox does that needs what it holds. */
  readonly stay: () => void;
}

/** Starts a process that has these descriptors open, from `firstKeptFd` on, and does nothing. */
export async function startHolder(descriptors: readonly number[]): Promise<Holder> {
  const child = spawn('/bin/sh', ['-c', program], {
    cwd: '/',
    detached: true,
    env: { PATH: '/usr/bin:/bin' },
    stdio: ['pipe', 'ignore', 'ignore', ...descriptors],
  });
  await once(child, 'spawn');
  child.unref();
  // It may have been killed.
  child.stdin?.on('error', () => undefined);
  const identity = findProcess(child.pid ?? 0);
  if (identity === undefined) throw new Error('The process that keeps the volumes of a sandbox ended at once.');
  return { ...identity, stay: () => void child.stdin?.end('stay\n') };
}

export function endHolder(holder: ProcessIdentity): void {
  try {
    if (isRunning(holder)) process.kill(holder.pid, 'SIGKILL');
  } catch {
    // It ended in this moment.
  }
}
