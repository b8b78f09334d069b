import { openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { CommandError } from '@soulbox/base';
import type { Program } from '@soulbox/linux/programs';
import { startTool, toolEnvironment } from './host-tool.ts';
import { hold } from './waiting-tool.ts';

const makerProgram = fileURLToPath(new URL('user-namespaces.pl', import.meta.url));
const answerTimeoutMs = 10_000;
/** Maximum length of the program's complaint that is kept, in characters. */
const complaintMax = 1_000;

/** `count` ids from `inside` on, which the host has from `outside` on. */
export interface IdRange {
  readonly inside: number;
  readonly outside: number;
  readonly count: number;
}

/** Makes user namespaces. */
export interface UserNamespaces {
  /**
   * Returns a descriptor of a new namespace, in which no process is; the caller closes it. `owner`: the id that creates it,
   * to which the kernel charges what is used in it; default: the host's root. Throws CommandError.
   */
  create(map: readonly IdRange[], owner?: number): Promise<number>;
}

/** A program that runs, with what it has said. */
interface Maker {
  readonly program: Program;
  readonly answers: AsyncIterator<string>;
  complaint: string;
}

/** The program that makes them starts at the first use, and ends with this process. */
export function createUserNamespaces(): UserNamespaces {
  const argv = ['perl', makerProgram];
  let maker: Maker | undefined;
  let queue = Promise.resolve();
  const getMaker = (): Maker => {
    if (maker !== undefined) return maker;
    const started = startMaker(argv);
    void started.program.exited.then(() => {
      if (maker === started) maker = undefined;
    });
    return (maker = started);
  };
  const ask = async (request: string): Promise<number> => {
    const current = getMaker();
    const { program, answers } = current;
    const timer = setTimeout(() => program.kill(), answerTimeoutMs);
    hold(program, true);
    try {
      program.input?.write(`${request}\n`);
      const answer: IteratorResult<string, unknown> = await answers.next();
      if (answer.done !== true) return openSync(`/proc/${Number(answer.value)}/ns/user`, 'r');
    } finally {
      clearTimeout(timer);
      // Ends the process in the namespace.
      program.input?.write('\n');
      // A server without other work can exit.
      hold(program, false);
    }
    const { code, signal } = await program.exited;
    throw new CommandError(argv, code ?? undefined, current.complaint, signal ?? undefined);
  };
  return {
    async create(map, owner = 0) {
      const rows = map.map(({ inside, outside, count }) => `${inside}:${outside}:${count}`);
      const made = queue.then(async () => await ask([owner, ...rows].join(' ')));
      queue = made.then(
        () => undefined,
        () => undefined,
      );
      return await made;
    },
  };
}

function startMaker(argv: readonly string[]): Maker {
  const program = startTool(argv, { directory: '/', environment: toolEnvironment, standardStreams: 'pipe' });
  const { input, output, errors } = program;
  if (output === undefined) throw new Error('the program has no output');
  // Noticed by the end of its output.
  input?.on('error', () => undefined);
  output.on('error', () => undefined);
  const lines = createInterface({ input: output });
  // A destroyed stream emits no end, and the lines would wait for one.
  output.once('close', () => lines.close());
  const maker: Maker = { program, answers: lines[Symbol.asyncIterator](), complaint: '' };
  errors.on('error', () => undefined);
  errors.setEncoding('utf8').on('data', (text: string) => {
    if (maker.complaint.length < complaintMax) maker.complaint += text;
  });
  return maker;
}
