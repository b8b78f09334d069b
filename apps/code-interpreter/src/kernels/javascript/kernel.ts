import { randomUUID } from 'node:crypto';
import { createInterface } from 'node:readline';
import { Readable, Writable } from 'node:stream';
import { bundleFromMember } from '../json-text.ts';
import type { Kernel, KernelOptions, Output } from '../kernel.ts';
import { KernelEnded } from '../kernel.ts';
import { spawnGroup } from '../process/group.ts';
import { MarkedStream } from '../process/marked-stream.ts';

export interface JavascriptProgram {
  /** Node, and the file with src/kernels/javascript/child/main.ts. */
  readonly command: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/** What we ask of the child (child/descriptors.ts). `interrupt` may come while another is answered, and goes with a byte to its other thread. */
export type Request =
  | { readonly type: 'execute'; readonly code: string; readonly isTypescript: boolean; readonly mark: string }
  | { readonly type: 'variables'; readonly variables: Readonly<Record<string, string | null>> }
  | { readonly type: 'interrupt' };

/** What the child says. `done` answers `execute` and `variables`; `mark` then stands in both outputs too. */
export type Reply =
  | { readonly type: 'ready' }
  | { readonly type: 'done' }
  | { readonly type: 'result'; readonly isMain: boolean; readonly bundle: DisplayBundle }
  | { readonly type: 'error'; readonly name: string; readonly value: string; readonly traceback: string };

/** MIME types and what stands for them. */
export type DisplayBundle = Readonly<Record<string, unknown>>;

/** The preload that makes a copy of the sandbox draw other random numbers (docs/fork.md). */
const reseedFile = '/.soulbox/reseed/node.cjs';

/** TypeScript runs here as well: both languages share one memory. */
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
  const outputs = { stdout: new MarkedStream(stdout), stderr: new MarkedStream(stderr) };
  let listen: ((reply: Heard) => void) | undefined;
  let count = 0;
  createInterface({ input: replies }).on('line', (line) => {
    const reply = parseReply(line);
    if (reply !== undefined) listen?.(reply);
  });
  const gone = ended.then((how) => {
    throw new KernelEnded(how);
  });
  gone.catch(() => undefined);

  /** Resolves with the reply that ends it. */
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
      const mark = `\u001e${randomUUID()}\u001e`;
      void emit({ type: 'started', executionCount: ++count });
      const texts = Promise.all(
        (['stdout', 'stderr'] as const).map(
          async (type) => await outputs[type].readUntil(mark, (text) => emit({ type, text })),
        ),
      );
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
        outputs.stdout.giveUp();
        outputs.stderr.giveUp();
      }
    },
    setVariables: async (changes) => await until('done', () => undefined, { type: 'variables', variables: changes }),
    interrupt: () => {
      if (listen === undefined) return;
      requests.write(`${JSON.stringify({ type: 'interrupt' } satisfies Request)}\n`);
      interrupts.write('!');
    },
    [Symbol.asyncDispose]: async () => {
      signal('SIGKILL');
      await ended;
    },
  };
}

/** A reply whose values stay as the child wrote them. */
type Heard = Exclude<Reply, { type: 'result' }> | (Output & { readonly type: 'result' });

/** The child runs hostile code, which can write here too; it is the same tenant's, so a nonsense line is only dropped. */
function parseReply(line: string): Heard | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('type' in value)) return undefined;
    const reply = value as Reply;
    if (reply.type !== 'result') return reply;
    const isMain: unknown = reply.isMain;
    return { type: 'result', isMain: isMain === true, bundle: bundleFromMember(line, 'bundle') };
  } catch {
    return undefined;
  }
}
