import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { CommandError } from '@soulbox/base';

export interface LinesOptions {
  /** Called with each line that the program writes to its standard error. */
  readonly onLine: (line: string) => void;
  readonly timeoutMs: number;
  readonly env?: NodeJS.ProcessEnv;
  /** When it aborts, the program is ended as at the time limit. */
  readonly signal?: AbortSignal;
  /** Runs the start of the program, so that the program starts in another network than this process. */
  readonly enter?: <T>(act: () => T) => T;
  /** Open in the program as its descriptor 3. */
  readonly descriptor?: number;
}

const keptLines = 40;
const killAfterMs = 5000;
/** Maximum number of characters of its standard output. */
const maxOutputLength = 4 * 1024 * 1024;

/**
 * Runs a long host program, reports its standard error as it arrives, and returns its standard output. Throws
 * CommandError with the last lines. At the time limit the whole process group gets SIGTERM, so that the program can
 * unmount its mounts, then SIGKILL.
 */
export async function runWithLines(command: string, args: readonly string[], options: LinesOptions): Promise<string> {
  const last: string[] = [];
  const start = (): ChildProcess =>
    spawn(command, [...args], {
      stdio: ['ignore', 'pipe', 'pipe', options.descriptor ?? 'ignore'],
      detached: true,
      ...(options.env === undefined ? {} : { env: options.env }),
    });
  const child = options.enter === undefined ? start() : options.enter(start);
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    process.kill(-child.pid, signal);
  };
  let output = '';
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    if (output.length < maxOutputLength) output += text;
  });
  const lines = createInterface({ input: child.stderr as Readable });
  lines.on('line', (line) => {
    last.push(line.slice(0, 1000));
    if (last.length > keptLines) last.shift();
    options.onLine(line);
  });
  const timers = [
    setTimeout(() => signalGroup('SIGTERM'), options.timeoutMs),
    setTimeout(() => signalGroup('SIGKILL'), options.timeoutMs + killAfterMs),
  ];
  const stop = (): void => {
    signalGroup('SIGTERM');
    timers.push(setTimeout(() => signalGroup('SIGKILL'), killAfterMs));
  };
  options.signal?.addEventListener('abort', stop, { once: true });
  if (options.signal?.aborted === true) stop();
  // Detached children would outlive us and continue to write into a folder that the next start removes.
  const onExit = (): void => signalGroup('SIGTERM');
  process.once('exit', onExit);
  try {
    await new Promise<void>((resolve, reject) => {
      child.once('error', (error) => reject(new CommandError([command, ...args], undefined, error.message, error)));
      child.once('close', (code) => {
        if (code === 0) resolve();
        else reject(new CommandError([command, ...args], code ?? undefined, last.join('\n'), undefined));
      });
    });
    return output;
  } finally {
    for (const timer of timers) clearTimeout(timer);
    process.off('exit', onExit);
    options.signal?.removeEventListener('abort', stop);
    lines.close();
  }
}
