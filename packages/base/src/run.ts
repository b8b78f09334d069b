import { execFile } from 'node:child_process';

/** A program ended with an exit code other than 0. `stderr` is for the log, not for a tenant. */
export class CommandError extends Error {
  readonly argv: readonly string[];
  readonly exitCode: number | undefined;
  readonly stderr: string;

  constructor(argv: readonly string[], exitCode: number | undefined, stderr: string, cause: unknown) {
    const how = exitCode === undefined ? String(cause) : `exit ${exitCode}`;
    super(`${argv.join(' ')} failed (${how}): ${stderr.trim().slice(-2000)}`, { cause });
    this.name = 'CommandError';
    this.argv = argv;
    this.exitCode = exitCode;
    this.stderr = stderr;
  }
}

export interface RunOptions {
  /** Written to the program's standard input, which is then closed. */
  input?: string;
  /** The program is killed with SIGKILL after this time. Default: 60 000 ms. */
  timeoutMs?: number;
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  signal?: AbortSignal;
}

/**
 * Runs a host program from an argument array (never through a shell) and returns its standard output. Throws
 * CommandError on a non-zero exit code, a missing program or the time limit. Output above 64 MiB is an error.
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  return await new Promise<string>((resolve, reject) => {
    const child = execFile(
      command,
      [...args],
      {
        encoding: 'utf8',
        maxBuffer: 64 * 1024 * 1024,
        timeout: options.timeoutMs ?? 60_000,
        killSignal: 'SIGKILL',
        ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
        ...(options.env === undefined ? {} : { env: options.env }),
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      (error, stdout, stderr) => {
        if (error === null) resolve(stdout);
        else
          reject(
            new CommandError(
              [command, ...args],
              typeof error.code === 'number' ? error.code : undefined,
              stderr,
              error,
            ),
          );
      },
    );
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });
}
