import { SoulBoxError } from '@soulbox/base';
import type { ProcessCalls } from './process-calls.ts';
import type { Program, ProgramEnd, ProgramOutput } from './program.ts';

/** How long envd may take to start a program on a host under heavy load. */
const startWaitMs = 30_000;
/** How long a killed program may take to end. After that its envd is not awaited any longer. */
const endWaitMs = 10_000;

export async function runProgram(calls: ProcessCalls, program: Program, onOutput?: ProgramOutput): Promise<ProgramEnd> {
  const connection = new AbortController();
  using starting = abortAfter(startWaitMs, connection);
  let started: AsyncDisposable | undefined;
  try {
    for await (const { event } of calls.start(program, connection.signal)) {
      const message = event?.event;
      if (message?.case === 'start') {
        if (started !== undefined) throw brokenEnvd('reported the start of a program twice');
        starting[Symbol.dispose]();
        const { pid } = message.value;
        started = attend(calls, pid, program, connection);
        await program.onStart?.(pid);
      } else if (message?.case === 'data') {
        const { case: channel, value } = message.value.output;
        if (channel !== undefined) await onOutput?.(channel === 'stderr' ? channel : 'stdout', value);
      } else if (message?.case === 'end') {
        return { exitCode: message.value.exitCode, status: message.value.status };
      }
    }
  } finally {
    connection.abort();
    await started?.[Symbol.asyncDispose]();
  }
  throw brokenEnvd('did not report how a program ended');
}

/** Returns the pid and drops the connection. */
export async function startDetached(calls: ProcessCalls, program: Program): Promise<number> {
  const connection = new AbortController();
  const starting = abortAfter(startWaitMs, connection);
  try {
    for await (const { event } of calls.start(program, connection.signal)) {
      if (event?.event.case === 'start') return event.event.value.pid;
    }
  } finally {
    starting[Symbol.dispose]();
    connection.abort();
  }
  throw brokenEnvd('did not report the start of a program');
}

/** Sends a started program its input, and kills it when its signal aborts. Disposed after the connection is aborted. */
function attend(
  calls: ProcessCalls,
  pid: number,
  { signal, stdin }: Program,
  connection: AbortController,
): AsyncDisposable {
  let givingUp: Disposable | undefined;
  const kill = (): void => {
    givingUp ??= abortAfter(endWaitMs, connection);
    // A dropped connection leaves the program running, so the kill needs a request of its own.
    calls.kill(pid, endWaitMs).catch(() => undefined);
  };
  if (signal?.aborted === true) kill();
  signal?.addEventListener('abort', kill);
  const feeding = stdin instanceof Uint8Array ? feed(calls, pid, stdin, connection.signal) : undefined;
  return {
    async [Symbol.asyncDispose]() {
      givingUp?.[Symbol.dispose]();
      signal?.removeEventListener('abort', kill);
      await feeding;
    },
  };
}

/** Never throws: programs may end without reading their input. */
async function feed(calls: ProcessCalls, pid: number, stdin: Uint8Array, signal: AbortSignal): Promise<void> {
  try {
    await calls.sendInput(pid, stdin, signal);
    await calls.closeInput(pid, signal);
  } catch {
    // The end of the program tells the caller enough.
  }
}

/** Disposing it ends the wait. */
function abortAfter(ms: number, connection: AbortController): Disposable {
  const timer = setTimeout(() => connection.abort(), ms);
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}

function brokenEnvd(fault: string): SoulBoxError {
  return new SoulBoxError('sandbox_unreachable', `The envd of the sandbox ${fault}.`);
}
