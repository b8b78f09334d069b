import { createInterface } from 'node:readline';
import type { Emit, Kernel, KernelOptions } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';
import { rejectWhenEnded } from '../process/reject-when-ended.ts';
import { encode, outputFromWords } from './words.ts';

export interface JavaProgram {
  /** The command that starts assets/java/JavaKernel.java with Java. The comment in that file describes the protocol. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** Java with JShell. A Java process cannot change its environment, so variables become system properties too. */
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
  const gone = rejectWhenEnded(ended);

  const untilDone = async (request: string | undefined, emit: Emit): Promise<void> => {
    const answered = new Promise<void>((resolve) => {
      listen = (words) => {
        if (words[0] === 'done') resolve();
        const output = outputFromWords(words);
        const caughtUp = output && emit(output);
        if (caughtUp === undefined) return;
        // A full pipe blocks the writer.
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
