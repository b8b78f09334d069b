import { spawn } from 'node:child_process';

/** Another container engine on the same host, running the same root file system. */
export interface Engine extends AsyncDisposable {
  readonly what: string;
  /** From the start of its client to the first byte of the command's output. */
  firstOutputMs(): Promise<number>;
}

const runTimeoutMs = 60_000;

/**
 * Runs a program to its end and returns when the first byte of its output arrived. Throws if it fails or prints
 * nothing.
 */
export async function timeFirstOutput(argv: readonly [string, ...string[]]): Promise<number> {
  const startedAt = performance.now();
  return await new Promise<number>((resolve, reject) => {
    const [program, ...args] = argv;
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: runTimeoutMs,
      killSignal: 'SIGKILL',
    });
    let elapsed: number | undefined;
    let complaint = '';
    child.stdout.on('data', () => (elapsed ??= performance.now() - startedAt));
    child.stderr.on('data', (part: Buffer) => (complaint = `${complaint}${part.toString()}`.slice(-2000)));
    child.once('error', reject);
    child.once('close', (code) => {
      if (code === 0 && elapsed !== undefined) resolve(elapsed);
      else reject(new Error(`${argv.join(' ')} ended with ${String(code)}: ${complaint}`));
    });
  });
}
