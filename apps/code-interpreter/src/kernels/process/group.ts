import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';

/** A process that leads a group of its own: what it starts can be signalled with it. */
export interface ProcessGroup {
  readonly pid: number;
  /** Resolves when it is gone, with how it ended. */
  readonly ended: Promise<string>;
  readonly signal: (signal: NodeJS.Signals) => void;
}

export interface SpawnOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stdio: StdioOptions;
}

/** Starts a program that ends with us, however we end: nobody would ever talk to it again. */
export async function spawnGroup(
  command: readonly string[],
  options: SpawnOptions,
): Promise<ProcessGroup & { readonly child: ChildProcess }> {
  // setpriv belongs to Debian's essential packages.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...command], { ...options, detached: true });
  const ended = new Promise<string>((resolve) => {
    child.once('exit', (code, signal) => resolve(describeEnd(code, signal)));
    child.once('error', (error) => resolve(error.message));
  });
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', reject);
  });
  const { pid } = child;
  if (pid === undefined) throw new Error('The process has no id.');
  let isGone = false;
  void ended.then(() => (isGone = true));
  return {
    child,
    pid,
    ended,
    // Also after its own end: what it left in its group must go too. The number cannot belong to others while the group has members.
    signal: (signal) => signalGroup(pid, signal, isGone),
  };
}

/** Sends a signal to a whole group; one that is gone is not an error. */
export function signalGroup(pid: number, signal: NodeJS.Signals, leaderIsGone: boolean): void {
  if (leaderIsGone && signal !== 'SIGKILL') return;
  try {
    process.kill(-pid, signal);
  } catch {
    // Gone.
  }
}

export function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `it exited with ${code ?? 'an unknown code'}` : `it was killed by ${signal}`;
}
