import { createInterface } from 'node:readline';
import { Readable, Writable } from 'node:stream';
import type { Kernel, KernelOptions } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';
import { createMark, createMarkedOutputs } from '../process/marked-outputs.ts';
import { rejectWhenEnded } from '../process/reject-when-ended.ts';
import type { Heard, Request } from './protocol.ts';
import { parseReply } from './protocol.ts';

export interface JavascriptProgram {
  /** Node and the path of src/kernels/javascript/child/main.ts. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** The preload that reseeds random numbers in a copy of the sandbox (docs/fork.md). */
const reseedFile = '/.soulbox/reseed/node.cjs';

/** Runs TypeScript as well: both languages share one memory. */
export async function startJavascriptKernel(
  { command, env }: JavascriptProgram,
  { cwd, variables }: KernelOptions,
  hasReseed: boolean,
): Promise<Kernel> {
  const preload = hasReseed ? { NODE_OPTIONS: `--require=${reseedFile}` } : {};
  const { child, ended, signal } = await spawnGroup(command, {
    cwd,
    env: { ...env, ...variables, ...preload },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe', 'pipe', 'pipe'],
  });
  const { stdout, stderr } = child;
  const [, , , requests, replies, interrupts] = child.stdio as readonly unknown[];
  if (stdout === null || stderr === null || !(replies instanceof Readable)) throw new Error('The kernel has no pipes.');
  if (!(requests instanceof Writable) || !(interrupts instanceof Writable)) throw new Error('The kernel has no pipes.');
  for (const pipe of [requests, interrupts]) pipe.on('error', () => undefined);
  replies.on('error', () => undefined);
  const outputs = createMarkedOutputs(stdout, stderr);
  let listen: ((reply: Heard) => void) | undefined;
  let count = 0;
  let interruptCount = 0;
  createInterface({ input: replies }).on('line', (line) => {
    const reply = parseReply(line);
    if (reply !== undefined) listen?.(reply);
  });
  const gone = rejectWhenEnded(ended);

  /** Resolves when the reply of the given type arrives. */
  const until = async (type: 'ready' | 'done', take: (reply: Heard) => void, request?: Request): Promise<void> => {
    const answered = new Promise<void>((resolve) => {
      listen = (reply) => (reply.type === type ? resolve() : take(reply));
    });
    if (request !== undefined) requests.write(`${JSON.stringify(request)}\n`);
    try {
      await Promise.race([answered, gone]);
    } finally {
      listen = undefined;
    }
  };

  await until('ready', () => undefined);
  return {
    ended,
    execute: async (code, emit, { isTypescript }) => {
      const mark = createMark();
      void emit({ type: 'started', executionCount: ++count });
      const texts = outputs.readUntil(mark, emit);
      try {
        await until(
          'done',
          (reply) => {
            if (reply.type !== 'result' && reply.type !== 'error') return;
            const caughtUp = emit(reply);
            if (caughtUp === undefined) return;
            // A child that cannot write waits.
            replies.pause();
            void caughtUp.finally(() => replies.resume());
          },
          { type: 'execute', code, isTypescript, mark },
        );
        await Promise.race([texts, gone]);
      } finally {
        outputs.giveUp();
      }
    },
    setVariables: async (changes) => await until('done', () => undefined, { type: 'variables', variables: changes }),
    interrupt: () => {
      if (listen === undefined) return;
      interruptCount += 1;
      requests.write(`${JSON.stringify({ type: 'interrupt', count: interruptCount } satisfies Request)}\n`);
      interrupts.write('!');
    },
    [Symbol.asyncDispose]: async () => {
      signal('SIGKILL');
      await ended;
    },
  };
}
