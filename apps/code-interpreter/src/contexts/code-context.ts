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

export interface CodeContext extends AsyncDisposable {
  readonly id: string;
  /** The default for code that names no language. */
  readonly choice: LanguageChoice;
  readonly cwd: string;
  /** Rejects when the kernel does not start. */
  ready(): Promise<void>;
  /** Runs code when its turn comes and resolves when it has ended. From then on, every failure is an output. */
  execute(execution: Execution): Promise<void>;
  /** Ends the kernel and the code that runs in it. Starts a new kernel with empty memory. */
  restart(): Promise<void>;
}

/**
 * A kernel with a name. Code in it sees the state that earlier code left. Executions run one at a time; the others wait
 * in order.
 */
export function createCodeContext(choice: LanguageChoice, cwd: string, startKernel: StartKernel): CodeContext {
  const id = randomUUID();
  const kernels = createKernels(() => startKernel(choice.language, { cwd, variables: {} }));
  let lastTurn: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let stopped: Stopped | undefined;

  const run = async (execution: Execution): Promise<void> => {
    const { emit } = execution;
    if (kernels.isDisposed) return void emit(errorOf('ExecutionAborted', `Context ${id} was removed`));
    stopped = undefined;
    if (kernels.isDead) kernels.renew(kernels.current);
    const kernel = kernels.current;
    kernels.isRunning = true;
    try {
      await runInKernel(kernels, await kernel, execution);
    } catch (error) {
      const reason = stopped as Stopped | undefined;
      if (reason === 'ContextRestarting') void emit(errorOf(reason, `Context ${id} is restarting`));
      else if (reason === 'ExecutionAborted') void emit(errorOf(reason, `Context ${id} was removed`));
      else {
        const how = error instanceof Error ? error.message : 'it failed';
        void emit(
          errorOf(
            'UnexpectedEndOfExecution',
            `The kernel has ended (${how}). Its context restarts without its variables.`,
          ),
        );
        kernels.renew(kernel);
      }
    } finally {
      kernels.isRunning = false;
    }
  };

  return {
    id,
    choice,
    cwd,
    async ready() {
      await kernels.current;
    },
    async execute(execution) {
      if (waiting >= maxWaiting) throw new Refusal(429, `Context ${id} has ${maxWaiting} executions waiting`);
      waiting++;
      const turn = lastTurn.then(async () => {
        waiting--;
        if (!execution.signal.aborted) await run(execution);
      });
      lastTurn = turn.catch(() => undefined);
      await turn;
    },
    async restart() {
      stopped = 'ContextRestarting';
      kernels.renew(kernels.current);
      await kernels.current;
    },
    async [Symbol.asyncDispose]() {
      kernels.isDisposed = true;
      stopped = 'ExecutionAborted';
      await dispose(kernels.current);
    },
  };
}

interface Kernels {
  readonly current: Promise<Kernel>;
  /** Undefined until the sandbox's variables have been set in this kernel. */
  globals: Values | undefined;
  isRunning: boolean;
  /** The kernel has ended. The next execution starts another. */
  readonly isDead: boolean;
  isDisposed: boolean;
  /** Does nothing when another caller has already replaced it. */
  renew(old: Promise<Kernel>): void;
}

/** The kernels of a context, one after the other. */
function createKernels(startKernel: () => Promise<Kernel>): Kernels {
  let isDead = false;

  /** Starts the next kernel when `old` has ended. Callers that need a kernel meanwhile wait for it. */
  const start = (old?: Promise<Kernel>): Promise<Kernel> => {
    const startedAt = Date.now();
    const kernel = dispose(old).then(async () => await startKernel());
    const ended = kernel.then(async (started) => await started.ended);
    ended.then(
      () => kernelEnded(kernel, Date.now() - startedAt),
      () => undefined,
    );
    return kernel;
  };
  /**
   * A kernel that ends between two executions is replaced silently, as Jupyter does. It is replaced immediately unless
   * kernels end repeatedly.
   */
  const kernelEnded = (kernel: Promise<Kernel>, livedMs: number): void => {
    if (kernels.isRunning || kernels.isDisposed || current !== kernel) return;
    if (livedMs >= eagerAfterMs) kernels.renew(kernel);
    else isDead = true;
  };

  let current = start();
  const kernels: Kernels = {
    get current() {
      return current;
    },
    get isDead() {
      return isDead;
    },
    globals: undefined,
    isRunning: false,
    isDisposed: false,
    renew(old) {
      if (current !== old || kernels.isDisposed) return;
      kernels.globals = undefined;
      isDead = false;
      current = start(old);
    },
  };
  return kernels;
}

async function runInKernel(
  kernels: Kernels,
  kernel: Kernel,
  { code, dialect, variables, readGlobals, emit, signal }: Execution,
): Promise<void> {
  if (kernels.globals === undefined) {
    const globals = await readGlobals();
    await kernel.setVariables(globals);
    kernels.globals = globals;
  }
  const globals = kernels.globals;
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
