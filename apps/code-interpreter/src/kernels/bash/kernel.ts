import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Emit, Kernel, KernelOptions } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';
import { createMark, createMarkedOutputs } from '../process/marked-outputs.ts';
import { rejectWhenEnded } from '../process/reject-when-ended.ts';
import { quote, setUp, statements } from './shell-text.ts';

export interface BashProgram {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Limit of one execution's code. The shell accepts a line of any length but keeps several copies of it in memory. */
const maxCodeBytes = 4 * 1024 * 1024;

/** Runs code in one persistent bash. */
export async function startBashKernel({ program, env }: BashProgram, options: KernelOptions): Promise<Kernel> {
  const { child, ended, signal } = await spawnGroup([program, '--norc', '--noprofile', '--noediting', '-i'], {
    cwd: options.cwd,
    env: { ...env, ...options.variables },
    stdio: ['pipe', 'pipe', 'pipe', 'pipe'],
  });
  const { stdin, stdout, stderr } = child;
  const statuses = child.stdio[3];
  if (stdin === null || stdout === null || stderr === null || !(statuses instanceof Readable))
    throw new Error('The shell has no pipes.');
  stdin.on('error', () => undefined);
  statuses.on('error', () => undefined);
  const outputs = createMarkedOutputs(stdout, stderr);
  let listen: ((status: number) => void) | undefined;
  let count = 0;
  let isRunning = false;
  createInterface({ input: statuses }).on('line', (line) => listen?.(Number(line)));
  const gone = rejectWhenEnded(ended);

  /** Runs one line and returns its exit status. */
  const runLine = async (line: string): Promise<number> => {
    const answered = new Promise<number>((resolve) => (listen = resolve));
    stdin.write(`${line}\n`);
    try {
      return await Promise.race([answered, gone]);
    } finally {
      listen = undefined;
    }
  };
  const run = async (code: string, emit: Emit): Promise<void> => {
    const mark = createMark();
    const texts = outputs.readUntil(mark, emit);
    try {
      // Standard input is empty: otherwise the code would read our next line.
      const status = await runLine(`eval ${quote(code)} </dev/null`);
      await runLine(`printf %s ${quote(mark)} >&250; printf %s ${quote(mark)} >&251`);
      await Promise.race([texts, gone]);
      if (status !== 0) await emit({ type: 'error', name: 'ExitCode', value: String(status), traceback: '' });
    } finally {
      outputs.giveUp();
    }
  };

  // The complaints of an interactive shell without a terminal come before this. Nobody reads them.
  await runLine(setUp);
  return {
    ended,
    execute: async (code, emit) => {
      void emit({ type: 'started', executionCount: ++count });
      if (Buffer.byteLength(code) > maxCodeBytes)
        return await emit({
          type: 'error',
          name: 'CodeTooLong',
          value: 'The code has more than 4 MiB.',
          traceback: '',
        });
      isRunning = true;
      try {
        await run(code, emit);
      } finally {
        isRunning = false;
      }
    },
    setVariables: async (variables) => {
      await runLine(statements(variables));
    },
    interrupt: () => {
      if (isRunning) signal('SIGINT');
    },
    [Symbol.asyncDispose]: async () => {
      signal('SIGKILL');
      await ended;
    },
  };
}
