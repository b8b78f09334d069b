import type { RequestOptions } from './config.ts';
import { errorFrom, SoulBoxError } from './error.ts';
import type { CommandResult } from './error.ts';
import type { OutputEvent, ProcessExit, SandboxProcess } from './process-types.ts';

/**
 * A running command or terminal, with the members of e2b 2.51.0. All its output is read from the start of this object
 * on, whether or not somebody waits. The command goes on when this object is given up.
 */
export interface CommandHandle {
  /** The pid of the shell that runs the command, inside the sandbox. */
  readonly pid: number;
  /** The process of the command: its output can be read again from any position, and its id can be given to others. */
  readonly process: SandboxProcess;
  /** Standard output so far, as UTF-8, from the position on at which this object began. Empty for a terminal. */
  readonly stdout: string;
  /** Standard error so far, as UTF-8, from the position on at which this object began. Empty for a terminal. */
  readonly stderr: string;
  /** The exit code. -1 if a signal ended the command. Undefined while it runs. */
  readonly exitCode: number | undefined;
  /**
   * Waits for the end, for as long as it takes. Throws `command_failed` if the exit code is not 0 and `command_timeout`
   * if its time was up; both have what was printed in `result`. Throws `unreachable` after 60 s without a connection.
   */
  wait(): Promise<CommandResult>;
  /** Stops reading. The command goes on; `wait` then throws `aborted`. */
  disconnect(): Promise<void>;
  /** Sends SIGKILL to the process group of the command. False if the command has ended. */
  kill(options?: RequestOptions): Promise<boolean>;
  /**
   * Writes standard input or keys of the terminal. Text is sent as UTF-8. Resolves when the command has taken it.
   * Throws `process_not_ready` if a command was started without `stdin` or its input is closed.
   */
  sendStdin(data: string | Uint8Array, options?: RequestOptions): Promise<void>;
  /**
   * Closes standard input after all writes. Throws `process_not_ready` for a terminal: send it Ctrl-D (`\x04`) instead.
   */
  closeStdin(options?: RequestOptions): Promise<void>;
}

/** Where output goes as it arrives. Reading waits for what the functions return. What they throw ends the reading. */
export interface OutputCallbacks {
  /**
   * Called with each part of standard output, as UTF-8. Characters are never cut. Default: output is only collected.
   */
  readonly onStdout?: ((data: string) => void | Promise<void>) | undefined;
  /** Called with each part of standard error, as UTF-8. Characters are never cut. Default: output is only collected. */
  readonly onStderr?: ((data: string) => void | Promise<void>) | undefined;
  /** Called with each part of a terminal's output, as bytes. It is not collected. Default: the output is skipped. */
  readonly onData?: ((data: Uint8Array) => void | Promise<void>) | undefined;
}

interface HandleOptions extends OutputCallbacks {
  /** Begins to read. */
  readonly read: (options: { readonly signal: AbortSignal }) => AsyncIterable<OutputEvent>;
  readonly signal?: AbortSignal | undefined;
  /** The size of a log that waits for its reader, in bytes. Absent: it does not wait. */
  readonly waitingLogBytes?: number | undefined;
}

/** Acknowledged after so much, so that the process need not wait for a quick reader. */
const acknowledgedPart = 1 / 8;
/** A log can be full with less: each change between its streams takes room, too. */
const acknowledgeDelayMs = 50;
/** A process can wait for the last one, and then no output follows that would send another. */
const acknowledgeAgainMs = 1000;

/** Reads all output of a process from now on, whether or not somebody waits. @internal */
export function followCommand(process: SandboxProcess, options: HandleOptions): CommandHandle {
  const { onStdout, onStderr, onData, read, waitingLogBytes } = options;
  const ending = new AbortController();
  const abort = (): void => ending.abort(options.signal?.reason);
  if (options.signal?.aborted === true) abort();
  options.signal?.addEventListener('abort', abort);
  const out = createText(onStdout);
  const errors = createText(onStderr);
  const state = { lostBytes: 0, exit: undefined as ProcessExit | undefined };

  const acknowledging =
    waitingLogBytes === undefined ? undefined : createAcknowledging(process, waitingLogBytes, ending.signal);
  const take = async (event: OutputEvent): Promise<void> => {
    if (event.type === 'gap') state.lostBytes += event.to - event.from;
    if (event.type === 'ended') state.exit = event.exit;
    if (event.type !== 'output') return;
    if (event.stream === 'terminal') await onData?.(event.data);
    else await (event.stream === 'stdout' ? out : errors).add(event.data);
    await acknowledging?.note(event.position + event.data.length);
  };
  const reading = (async () => {
    try {
      for await (const event of read({ signal: ending.signal })) await take(event);
    } finally {
      ending.abort();
      acknowledging?.end();
      options.signal?.removeEventListener('abort', abort);
    }
    await out.end();
    await errors.end();
  })();
  // Whoever waits gets it.
  reading.catch(() => undefined);

  return {
    pid: process.pid,
    process,
    get stdout() {
      return out.text;
    },
    get stderr() {
      return errors.text;
    },
    get exitCode() {
      return state.exit?.code;
    },
    async wait() {
      try {
        await reading;
      } catch (error) {
        throw errorFrom(error);
      }
      const { exit, lostBytes } = state;
      if (exit === undefined)
        throw new SoulBoxError('The output ended early.', { code: 'unavailable', reason: 'unreachable' });
      return resultOf(exit, { stdout: out.text, stderr: errors.text, lostBytes });
    },
    async disconnect() {
      ending.abort();
      await reading.catch(() => undefined);
    },
    kill: async (request) => await process.kill(request),
    sendStdin: async (data, request) => await process.write(data, request),
    closeStdin: async (request) => await process.closeInput(request),
  };
}

interface Acknowledging {
  /** Output before this position has been taken. */
  note(position: number): Promise<void>;
  end(): void;
}

function createAcknowledging(process: SandboxProcess, logBytes: number, signal: AbortSignal): Acknowledging {
  const state = { noted: 0, acknowledged: 0 };
  let timer: ReturnType<typeof setTimeout> | undefined;
  const sendLater = (delayMs: number): void => {
    if (!signal.aborted) timer ??= setTimeout(() => void send(), delayMs);
  };
  // Never rejects: the reader reports what breaks.
  const send = async (): Promise<void> => {
    clearTimeout(timer);
    timer = undefined;
    const { noted, acknowledged } = state;
    state.acknowledged = noted;
    try {
      await process.acknowledge(noted, { signal });
    } catch {
      state.acknowledged = Math.min(state.acknowledged, acknowledged);
      sendLater(acknowledgeAgainMs);
    }
  };
  return {
    async note(position) {
      state.noted = position;
      if (position - state.acknowledged >= logBytes * acknowledgedPart) await send();
      else sendLater(acknowledgeDelayMs);
    },
    end: () => clearTimeout(timer),
  };
}

function resultOf(exit: ProcessExit, output: Pick<CommandResult, 'stdout' | 'stderr' | 'lostBytes'>): CommandResult {
  const { code, status, cause } = exit;
  if (code === 0) return { exitCode: 0, ...output };
  const result = { exitCode: code, error: status, ...output };
  if (cause === 'deadline')
    throw new SoulBoxError('The command was killed because its time (timeoutMs) was up.', {
      ...{ code: 'deadline_exceeded', reason: 'command_timeout', result },
    });
  const lastLine = output.stderr.trimEnd().split('\n').at(-1)?.slice(0, 400) ?? '';
  throw new SoulBoxError(`The command ended with ${status}${lastLine === '' ? '' : `: ${lastLine}`}.`, {
    ...{ code: 'failed_precondition', reason: 'command_failed', result },
  });
}

interface Text {
  readonly text: string;
  add(data: Uint8Array): Promise<void>;
  /** What is left of a cut character becomes U+FFFD. */
  end(): Promise<void>;
}

function createText(onText: ((data: string) => void | Promise<void>) | undefined): Text {
  const decoder = new TextDecoder();
  let text = '';
  const append = async (part: string): Promise<void> => {
    if (part === '') return;
    text += part;
    await onText?.(part);
  };
  return {
    get text() {
      return text;
    },
    add: async (data) => await append(decoder.decode(data, { stream: true })),
    end: async () => await append(decoder.decode()),
  };
}
