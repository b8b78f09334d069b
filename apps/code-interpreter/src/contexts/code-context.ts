import { randomUUID } from 'node:crypto';
import type { LanguageChoice, StartKernel } from '../kernels/languages.ts';
import type { Dialect, Emit, Kernel, Variables } from '../kernels/kernel.ts';
import { Refusal } from '../server/refusal.ts';

/** What waits for its turn in one context; each holds a connection and its code. */
const maxWaiting = 32;
/** Code that was interrupted and goes on is interrupted again, and then its kernel is killed: nothing could run there any more. */
const interruptAgainMs = 2000;
const killAfterMs = 10_000;
/** A kernel that lived shorter than this is started again only when there is code for it. */
const eagerAfterMs = 5000;

type Values = Readonly<Record<string, string>>;

export interface Execution {
  readonly code: string;
  readonly dialect: Dialect;
  /** For this code only. */
  readonly variables: Values;
  /** The sandbox's own variables; asked for before the first code of a kernel. */
  readonly readGlobals: () => Promise<Values>;
  readonly emit: Emit;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

/** Why what runs is stopped from outside, in the words that E2B's server uses. */
type Stopped = 'ContextRestarting' | 'ExecutionAborted';

/** A kernel with a name: code that runs in it sees what ran before. One code at a time; the others wait in order. */
export class CodeContext implements AsyncDisposable {
  readonly id = randomUUID();
  /** Of code that comes without a language of its own. */
  readonly choice: LanguageChoice;
  readonly cwd: string;
  readonly #startKernel: StartKernel;
  #kernel: Promise<Kernel>;
  /** Undefined until the sandbox's variables were set in this kernel. */
  #globals: Values | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #stopped: Stopped | undefined;
  #isRunning = false;
  /** The kernel has ended, and the next code starts another. */
  #isDead = false;
  #isDisposed = false;

  constructor(choice: LanguageChoice, cwd: string, startKernel: StartKernel) {
    this.choice = choice;
    this.cwd = cwd;
    this.#startKernel = startKernel;
    this.#kernel = this.#start();
  }

  /** Rejects when the kernel does not start. */
  async ready(): Promise<void> {
    await this.#kernel;
  }

  /** Runs code when its turn comes, and resolves when it has ended. Everything that goes wrong then is an output. */
  async execute(execution: Execution): Promise<void> {
    if (this.#waiting >= maxWaiting) throw new Refusal(429, `Context ${this.id} has ${maxWaiting} executions waiting`);
    this.#waiting++;
    const turn = this.#turn.then(async () => {
      this.#waiting--;
      if (!execution.signal.aborted) await this.#run(execution);
    });
    this.#turn = turn.catch(() => undefined);
    await turn;
  }

  /** Ends the kernel, what runs in it too, and starts another with nothing of its memory. */
  async restart(): Promise<void> {
    this.#stopped = 'ContextRestarting';
    this.#renew(this.#kernel);
    await this.#kernel;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    this.#stopped = 'ExecutionAborted';
    await dispose(this.#kernel);
  }

  /** What comes after `old` starts once that is gone; who wants a kernel meanwhile waits for it. */
  #start(old?: Promise<Kernel>): Promise<Kernel> {
    const startedAt = Date.now();
    const kernel = dispose(old).then(
      async () => await this.#startKernel(this.choice.language, { cwd: this.cwd, variables: {} }),
    );
    const ended = kernel.then(async (started) => await started.ended);
    ended.then(
      () => this.#kernelEnded(kernel, Date.now() - startedAt),
      () => undefined,
    );
    return kernel;
  }

  /** One that ends between two codes is replaced without a word, as Jupyter does: at once, unless it ends again and again. */
  #kernelEnded(kernel: Promise<Kernel>, livedMs: number): void {
    if (this.#isRunning || this.#isDisposed || this.#kernel !== kernel) return;
    if (livedMs >= eagerAfterMs) this.#renew(kernel);
    else this.#isDead = true;
  }

  /** Does nothing when somebody else was first. */
  #renew(old: Promise<Kernel>): void {
    if (this.#kernel !== old || this.#isDisposed) return;
    this.#globals = undefined;
    this.#isDead = false;
    this.#kernel = this.#start(old);
  }

  async #run(execution: Execution): Promise<void> {
    const { emit } = execution;
    if (this.#isDisposed) return void emit(errorOf('ExecutionAborted', `Context ${this.id} was removed`));
    this.#stopped = undefined;
    if (this.#isDead) this.#renew(this.#kernel);
    const kernel = this.#kernel;
    this.#isRunning = true;
    try {
      await this.#runInKernel(await kernel, execution);
    } catch (error) {
      const stopped = this.#stopped as Stopped | undefined;
      if (stopped === 'ContextRestarting') void emit(errorOf(stopped, `Context ${this.id} is restarting`));
      else if (stopped === 'ExecutionAborted') void emit(errorOf(stopped, `Context ${this.id} was removed`));
      else {
        const how = error instanceof Error ? error.message : 'it failed';
        void emit(
          errorOf(
            'UnexpectedEndOfExecution',
            `The kernel has ended (${how}). Its context starts anew, without its variables.`,
          ),
        );
        this.#renew(kernel);
      }
    } finally {
      this.#isRunning = false;
    }
  }

  async #runInKernel(
    kernel: Kernel,
    { code, dialect, variables, readGlobals, emit, signal }: Execution,
  ): Promise<void> {
    if (this.#globals === undefined) {
      const globals = await readGlobals();
      await kernel.setVariables(globals);
      this.#globals = globals;
    }
    const globals = this.#globals;
    const hasVariables = Object.keys(variables).length > 0;
    if (hasVariables) await kernel.setVariables(variables);
    const stopWatching = interruptWhenAborted(kernel, signal);
    try {
      // The client may have gone while variables were set: an interrupt finds nothing to break off then.
      if (!signal.aborted) await kernel.execute(code, emit, dialect);
    } finally {
      stopWatching();
    }
    if (hasVariables) await kernel.setVariables(resetOf(variables, globals));
  }
}

async function dispose(kernel: Promise<Kernel> | undefined): Promise<void> {
  const started = await kernel?.catch(() => undefined);
  await started?.[Symbol.asyncDispose]();
}

/** What puts variables back to what the sandbox has, or takes them away. */
function resetOf(variables: Values, globals: Values): Variables {
  return Object.fromEntries(Object.keys(variables).map((name) => [name, globals[name] ?? null]));
}

function errorOf(name: string, value: string): Parameters<Emit>[0] {
  return { type: 'error', name, value, traceback: '' };
}

function interruptWhenAborted(kernel: Kernel, signal: AbortSignal): () => void {
  const timers: NodeJS.Timeout[] = [];
  const interrupt = (): void => {
    kernel.interrupt();
    timers.push(setTimeout(() => kernel.interrupt(), interruptAgainMs));
    timers.push(setTimeout(() => void kernel[Symbol.asyncDispose](), killAfterMs));
  };
  signal.addEventListener('abort', interrupt, { once: true });
  return () => {
    signal.removeEventListener('abort', interrupt);
    for (const timer of timers) clearTimeout(timer);
  };
}
