import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import type { Emit, Kernel, KernelOptions, Variables } from '../kernel.ts';
import { KernelEnded } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';
import { MarkedStream } from '../process/marked-stream.ts';

export interface BashProgram {
  readonly program: string;
  readonly env: NodeJS.ProcessEnv;
}

/** Of a code: the shell takes a line of any length, but keeps it in memory several times. */
const maxCodeBytes = 4 * 1024 * 1024;

/**
 * The shell's pipes are copied out of the way of code that redirects its own: 250 and 251 are its outputs, 252 tells the status.
 * An interactive shell runs PROMPT_COMMAND whenever it is ready: after a line, and also after an interrupt, which only an
 * interactive shell survives.
 */
const setUp = [
  'exec 250>&1 251>&2 252>&3 3>&-',
  'set +o history +H +m',
  'PS1= PS2=',
  'unset HISTFILE',
  `PROMPT_COMMAND='printf "%s\\n" "$?" >&252'`,
].join('; ');

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
  const outputs = { stdout: new MarkedStream(stdout), stderr: new MarkedStream(stderr) };
  let listen: ((status: number) => void) | undefined;
  let count = 0;
  let isRunning = false;
  createInterface({ input: statuses }).on('line', (line) => listen?.(Number(line)));
  const gone = ended.then((how) => {
    throw new KernelEnded(how);
  });
  gone.catch(() => undefined);

  /** Runs one line and gives its status. */
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
    const mark = `\u001e${randomUUID()}\u001e`;
    const texts = Promise.all(
      (['stdout', 'stderr'] as const).map(
        async (type) => await outputs[type].readUntil(mark, (text) => emit({ type, text })),
      ),
    );
    try {
      // Its input is empty: what it read would be our next line.
      const status = await runLine(`eval ${quote(code)} </dev/null`);
      await runLine(`printf %s ${quote(mark)} >&250; printf %s ${quote(mark)} >&251`);
      await Promise.race([texts, gone]);
      if (status !== 0) await emit({ type: 'error', name: 'ExitCode', value: String(status), traceback: '' });
    } finally {
      outputs.stdout.giveUp();
      outputs.stderr.giveUp();
    }
  };

  // What an interactive shell without a terminal complains about comes before, and nobody reads it.
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

function statements(variables: Variables): string {
  return Object.entries(variables)
    .filter(([name]) => /^[A-Za-z_][A-Za-z0-9_]*$/.test(name))
    .map(([name, value]) => (value === null ? `unset ${name}` : `export ${name}=${quote(value)}`))
    .concat(':')
    .join('; ');
}

/** Text as one word on one line, in the quotes that know escapes. A shell's word cannot hold NUL: it ends there. */
export function quote(text: string): string {
  const bytes = Array.from(Buffer.from(text.replaceAll('\0', '')), (byte) => {
    const character = String.fromCharCode(byte);
    return /[A-Za-z0-9_ ./:=+,@%-]/.test(character) ? character : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
  return `$'${bytes.join('')}'`;
}
