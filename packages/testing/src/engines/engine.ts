import { spawn } from 'node:child_process';
import { run } from '@soulbox/base';

/** Another container engine on the same host, running the same root file system. */
export interface Engine extends AsyncDisposable {
  readonly what: string;
  /** From the start of its client to the first byte of the command's output. */
  firstOutputMs(): Promise<number>;
  /** A container that waits. It ends with the engine. */
  startContainer(): Promise<EngineContainer>;
}

/** Why there is none. */
export interface MissingEngine {
  readonly what: string;
  readonly skipped: string;
}

/** The client's commands for a container, each to its end. */
export interface EngineContainer {
  /** The name of the engine's client, such as `podman`. */
  readonly client: string;
  exec(program: string, ...args: readonly string[]): Promise<void>;
  copyIn(source: string, target: string): Promise<void>;
  copyOut(source: string, target: string): Promise<void>;
}

/** `argv` is the command line of the engine's client with these arguments. */
export async function startContainer(
  client: string,
  image: string,
  argv: (...args: string[]) => readonly [string, ...string[]],
): Promise<EngineContainer> {
  const ask = async (...given: string[]): Promise<void> => {
    const [program, ...args] = argv(...given);
    await run(program, args, { timeoutMs: copyTimeoutMs });
  };
  const name = 'soulbox-bench-waiting';
  await ask('run', '--detach', '--rm', '--name', name, image, '/bin/sleep', '3600');
  return {
    client,
    exec: async (program, ...args) => await ask('exec', name, program, ...args),
    copyIn: async (source, target) => await ask('cp', source, `${name}:${target}`),
    copyOut: async (source, target) => await ask('cp', `${name}:${source}`, target),
  };
}

const runTimeoutMs = 60_000;
const copyTimeoutMs = 300_000;

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
