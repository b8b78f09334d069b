import { randomUUID } from 'node:crypto';
import type { LanguageChoice, StartKernel } from '../kernels/languages.ts';
import type { Dialect, Emit, Kernel, Variables } from '../kernels/kernel.ts';
import { Refusal } from '../server/refusal.ts';

/** Limit of executions that wait in one context. Each holds a connection and its code. */
const maxWaiting = 32;
/**
 * Code that continues after an interrupt is interrupted again. Then its kernel is killed, because nothing else could
 * run there any more.
 */
const interruptAgainMs = 2000;
const killAfterMs = 10_000;
/** A kernel that ended sooner than this is restarted only when there is code for it. */
const eagerAfterMs = 5000;

type Values = Readonly<Record<string, string>>;

export interface Execution {
  readonly code: string;
  readonly dialect: Dialect;
  /** Set for this code only. */
  readonly variables: Values;
  /** Reads the sandbox's own variables. Called before the first code of a kernel. */
  readonly readGlobals: () => Promise<Values>;
  readonly emit: Emit;
  /** Aborted when the client disconnects. */
  readonly signal: AbortSignal;
}

/** The reason why running code is stopped from outside, in the words of E2B's server. */
type Stopped = 'ContextRestarting' | 'ExecutionAborted';

/**
 * A kernel with a name. Code in it sees the state that earlier code left. Executions run one at a time; the others wait
 * in order.
 */
export class CodeContext implements AsyncDisposable {
  readonly id = randomUUID();
  /** The default for code that names no language. */
  readonly choice: LanguageChoice;
  readonly cwd: string;
  readonly #startKernel: StartKernel;
  #kernel: Promise<Kernel>;
  /** Undefined until the sandbox's variables have been set in this kernel. */
  #globals: Values | undefined;
  #turn: Promise<unknown> = Promise.resolve();
  #waiting = 0;
  #stopped: Stopped | undefined;
  #isRunning = false;
  /** The kernel has ended. The next execution starts another. */
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

  /** Runs code when its turn comes and resolves when it has ended. From then on, every failure is an output. */
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

  /** Ends the kernel and the code that runs in it. Starts a new kernel with empty memory. */
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

  /** Starts the next kernel when `old` has ended. Callers that need a kernel meanwhile wait for it. */
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

  /**
   * A kernel that ends between two executions is replaced silently, as Jupyter does. It is replaced immediately unless
   * kernels end repeatedly.
   */
  #kernelEnded(kernel: Promise<Kernel>, livedMs: number): void {
    if (this.#isRunning || this.#isDisposed || this.#kernel !== kernel) return;
    if (livedMs >= eagerAfterMs) this.#renew(kernel);
    else this.#isDead = true;
  }

  /** Does nothing when another caller has already replaced it. */
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
            `The kernel has ended (${how}). Its context restarts without its variables.`,
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
      // The client may have disconnected while variables were set. That interrupt had no code to stop.
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

/** Changes that restore the sandbox's values, or remove variables that the sandbox does not have. */
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
