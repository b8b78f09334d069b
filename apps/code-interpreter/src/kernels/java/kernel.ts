import { createInterface } from 'node:readline';
import type { Emit, Kernel, KernelOptions, Output } from '../kernel.ts';
import { KernelEnded } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';

export interface JavaProgram {
  /** Java, and what starts assets/java/JavaKernel.java, whose comment describes the lines that go in and out. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** Java by JShell. A Java process cannot change its environment, so variables become system properties too. */
export async function startJavaKernel({ command, env }: JavaProgram, options: KernelOptions): Promise<Kernel> {
  const { child, ended, signal } = await spawnGroup(command, {
    cwd: options.cwd,
    env: { ...env, ...options.variables },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  const { stdin, stdout } = child;
  if (stdin === null || stdout === null) throw new Error('The kernel has no pipes.');
  stdin.on('error', () => undefined);
  stdout.on('error', () => undefined);
  let listen: ((words: readonly string[]) => void) | undefined;
  let count = 0;
  createInterface({ input: stdout }).on('line', (line) => listen?.(line.split(' ')));
  const gone = ended.then((how) => {
    throw new KernelEnded(how);
  });
  gone.catch(() => undefined);

  const untilDone = async (request: string | undefined, emit: Emit): Promise<void> => {
    const answered = new Promise<void>((resolve) => {
      listen = (words) => {
        if (words[0] === 'done') resolve();
        const output = outputFromWords(words);
        const caughtUp = output && emit(output);
        if (caughtUp === undefined) return;
        // A full pipe holds up who writes into it.
        stdout.pause();
        void caughtUp.finally(() => stdout.resume());
      };
    });
    if (request !== undefined) stdin.write(`${request}\n`);
    try {
      await Promise.race([answered, gone]);
    } finally {
      listen = undefined;
    }
  };

  const silent: Emit = () => undefined;
  const setVariable = async (name: string, value: string | null): Promise<void> => {
    const request = value === null ? `clear ${encode(name)}` : `property ${encode(name)} ${encode(value)}`;
    await untilDone(request, silent);
  };
  await untilDone(undefined, silent);
  return {
    ended,
    execute: async (code, emit) => {
      void emit({ type: 'started', executionCount: ++count });
      await untilDone(`execute ${encode(code)}`, emit);
    },
    setVariables: async (variables) => {
      for (const [name, value] of Object.entries(variables)) if (name !== '') await setVariable(name, value);
    },
    interrupt: () => {
      if (listen !== undefined) stdin.write('interrupt\n');
    },
    [Symbol.asyncDispose]: async () => {
      signal('SIGKILL');
      await ended;
    },
  };
}

function outputFromWords([type, ...words]: readonly string[]): Output | undefined {
  const [first = '', second = '', third = ''] = words.map((word) => Buffer.from(word, 'base64').toString('utf8'));
  switch (type) {
    case 'stdout':
    case 'stderr':
      return { type, text: first };
    case 'result':
      return { type: 'result', isMain: true, bundle: [['text/plain', first]] };
    case 'error':
      return { type: 'error', name: first, value: second, traceback: third };
    default:
      return undefined;
  }
}

const encode = (text: string): string => Buffer.from(text).toString('base64');
