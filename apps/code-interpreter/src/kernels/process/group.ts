import { spawn } from 'node:child_process';
import type { ChildProcess, StdioOptions } from 'node:child_process';

/** A process that leads its own process group. A signal reaches its child processes too. */
export interface ProcessGroup {
  readonly pid: number;
  /** Resolves when it has ended, with a description of how. */
  readonly ended: Promise<string>;
  readonly signal: (signal: NodeJS.Signals) => void;
}

export interface SpawnOptions {
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  readonly stdio: StdioOptions;
}

/** Starts a program that ends with this process, even after a crash: nothing could use it any more. */
export async function spawnGroup(
  command: readonly string[],
  options: SpawnOptions,
): Promise<ProcessGroup & { readonly child: ChildProcess }> {
  // setpriv is in an essential package of Debian.
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
    // SIGKILL also works after the leader's end: the rest of its group must end too. The kernel does not reuse the
    // number while the group has members.
    signal: (signal) => signalGroup(pid, signal, isGone),
  };
}

/** Sends a signal to a whole group. A group that has ended is not an error. */
export function signalGroup(pid: number, signal: NodeJS.Signals, leaderIsGone: boolean): void {
  if (leaderIsGone && signal !== 'SIGKILL') return;
  try {
    process.kill(-pid, signal);
  } catch {
    // The group has ended.
  }
}

export function describeEnd(code: number | null, signal: NodeJS.Signals | null): string {
  return signal === null ? `it exited with ${code ?? 'an unknown code'}` : `it was killed by ${signal}`;
}
