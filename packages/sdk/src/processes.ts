import type { CallError } from '@soulbox/client';
import { attachProcess } from '@soulbox/client/process';
import type { ProcessEvent } from '@soulbox/client/process';
import { ExitCause, LogPolicy, Origin, OutputStream } from '@soulbox/contract/process-v1';
import type { Exit, From, Process } from '@soulbox/contract/process-v1';
import type { Envd, UserOptions } from './envd.ts';
import type { RequestOptions } from './config.ts';
import { errorFrom, rethrow, SoulBoxError } from './error.ts';

/** What happens when the log of a process is full. */
export type LogPolicyName = 'drop-oldest' | 'block' | 'fail';

/** The log that keeps the output of a process on the disk of the sandbox. */
export interface LogSettings {
  /** In bytes, 64 KiB to 1 GiB. Default: 16 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * `drop-oldest`: the oldest output is lost to readers that have not read it. `block`: the process waits until output
   * is acknowledged. `fail`: the process is killed. Default: `drop-oldest`.
   */
  readonly policy?: LogPolicyName | undefined;
}

/** The options of a start. */
export interface ProcessOptions extends UserOptions {
  /**
   * Names the process, so that a repeated start does not start it twice: 1 to 64 letters, digits, `-` and `_`. Default:
   * a random one.
   */
  readonly id?: string | undefined;
  /** Variables beside those of the sandbox. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** The working directory. Default: the home of the user. */
  readonly cwd?: string | undefined;
  /** A terminal of this size instead of pipes, in characters. */
  readonly terminal?: { readonly cols: number; readonly rows: number } | undefined;
  /** A pipe as standard input; otherwise it is empty. A terminal always takes input. Default: false. */
  readonly stdin?: boolean | undefined;
  /** A name that need not be unique. */
  readonly tag?: string | undefined;
  readonly log?: LogSettings | undefined;
  /** After this time the process group is killed, in milliseconds. 0: never. Default: 0. */
  readonly timeoutMs?: number | undefined;
  /** How long exit and log are kept after the end, in seconds, up to 86,400. Default: 600. */
  readonly keepSeconds?: number | undefined;
}

/** How a process ended. */
export interface ProcessExit {
  /** -1 if a signal ended it. */
  readonly code: number;
  /** The number of the signal that ended it. 0: none. */
  readonly signal: number;
  /** As text: `exit status N` or `signal: NAME`. */
  readonly status: string;
  /** `deadline`: its time was up. `log-full`: its log was full, with the policy `fail`. `own`: anything else. */
  readonly cause: 'own' | 'deadline' | 'log-full';
  readonly endedAt: Date;
}

/** What is known about a process. Positions count bytes of output, of all streams together. */
export interface ProcessInfo {
  readonly id: string;
  readonly pid: number;
  readonly tag: string | undefined;
  /** The program. */
  readonly cmd: string;
  readonly args: readonly string[];
  readonly envs: Readonly<Record<string, string>>;
  readonly cwd: string | undefined;
  readonly user: string;
  /** The protocol that started it. */
  readonly origin: 'soulbox' | 'e2b';
  readonly startedAt: Date;
  readonly hasTerminal: boolean;
  /** The oldest position that the log has. */
  readonly oldestPosition: number;
  /** The position of the next byte. */
  readonly endPosition: number;
  /** Set when the process and its output have ended. */
  readonly exit: ProcessExit | undefined;
}

/** Where to begin to read: a position, the oldest or the newest output, or the last bytes. */
export type AttachFrom = number | 'oldest' | 'newest' | { readonly lastBytes: number };

/** One event of an attached process. Each byte arrives exactly once and in order. */
export type OutputEvent =
  | { readonly type: 'attached'; readonly position: number }
  | {
      readonly type: 'output';
      /** The position of the first byte. That of the next event is `position` + `data.length`. */
      readonly position: number;
      readonly stream: 'stdout' | 'stderr' | 'terminal';
      /** The position of the first byte within its own stream. */
      readonly streamPosition: number;
      readonly data: Uint8Array;
    }
  /** Output that the log had dropped before it was read. */
  | { readonly type: 'gap'; readonly from: number; readonly to: number }
  | { readonly type: 'ended'; readonly position: number; readonly exit: ProcessExit };

/** One process in a sandbox. It goes on without readers, and its id is the same after a pause and in a fork. */
export interface SandboxProcess {
  readonly id: string;
  readonly pid: number;
  /**
   * Reads output from a position to the end of the process. A lost connection is replaced at the position that was
   * reached, so that no byte is missing or repeated; after 60 s without one, it throws `unavailable`. Throws `out_of_range` for a position beyond the end.
   */
  attach(from?: AttachFrom, options?: { readonly signal?: AbortSignal | undefined }): AsyncGenerator<OutputEvent>;
  /** Writes input. Resolves when the process has taken it. A repetition after a lost connection has no second effect. */
  write(data: string | Uint8Array, options?: RequestOptions): Promise<void>;
  /** Closes standard input after all writes. */
  closeInput(options?: RequestOptions): Promise<void>;
  /** Changes the size of the terminal, in characters. */
  resize(size: { readonly cols: number; readonly rows: number }, options?: RequestOptions): Promise<void>;
  /** Sends a signal, by its number, to the process group. False if the process has ended. */
  signal(signal: number, options?: RequestOptions): Promise<boolean>;
  /** Sends SIGKILL. False if the process has ended. */
  kill(options?: RequestOptions): Promise<boolean>;
  /** Says that output before this position is no longer needed. With the policy `block`, the process can go on. */
  acknowledge(position: number, options?: RequestOptions): Promise<void>;
  /** Waits for the end, for as long as it takes. */
  wait(options?: { readonly signal?: AbortSignal | undefined }): Promise<ProcessExit>;
  /** What is known now. */
  getInfo(options?: RequestOptions): Promise<ProcessInfo>;
  /** Removes an ended process with its log. */
  forget(options?: RequestOptions): Promise<void>;
}

/** The processes of one sandbox, whichever client started them. Errors: `process_not_found`, `limit_exceeded`. */
export interface Processes {
  /** Running processes and those whose exit is kept. */
  list(options?: RequestOptions): Promise<ProcessInfo[]>;
  /** Finds a process by its id, or a running one by its pid. Throws `not_found`. */
  get(idOrPid: string | number, options?: RequestOptions): Promise<SandboxProcess>;
  /** Starts a program, without a shell. */
  start(program: string, args?: readonly string[], options?: ProcessOptions): Promise<SandboxProcess>;
  /** Reads the output of a process from a position, see {@link SandboxProcess.attach}. */
  attach(
    id: string,
    from?: AttachFrom,
    options?: { readonly signal?: AbortSignal | undefined },
  ): AsyncGenerator<OutputEvent>;
}

const policies = {
  'drop-oldest': LogPolicy.DROP_OLDEST,
  block: LogPolicy.BLOCK,
  fail: LogPolicy.FAIL,
} satisfies Record<LogPolicyName, LogPolicy>;

/** For as long as a server may need to restart, or a sandbox may be paused. */
const resumption = { attempts: 100, initialDelayMs: 50, maxDelayMs: 2000, budgetMs: 60_000 };
/** The largest piece of input of one message. */
const inputBytesMax = 1024 * 1024;
/** One question of `wait`; it is asked again. */
const waitMs = 60_000;
const waitGraceMs = 15_000;
const sigkill = 9;

/** @internal */
export function createProcesses(envd: Envd): Processes {
  const client = envd.processes;
  const attach = async function* (
    processId: string,
    from: AttachFrom = 'oldest',
    { signal }: { readonly signal?: AbortSignal | undefined } = {},
  ): AsyncGenerator<OutputEvent> {
    const { events } = envd.connection;
    const onResume = (error: CallError | undefined): void =>
      events.emit({ target: envd.url, type: 'resume', stream: `output of process ${processId}`, error });
    const options = { retry: resumption, onResume, ...(signal === undefined ? {} : { signal }) };
    try {
      for await (const event of attachProcess(client, { processId, from: fromToWire(from) }, options))
        yield eventFromWire(event);
    } catch (error) {
      throw errorFrom(error);
    }
  };
  const list = async (options?: RequestOptions): Promise<Process[]> =>
    (await client.list({}, envd.callOptions(options)).catch(rethrow)).processes;
  return {
    attach,
    async list(options) {
      return (await list(options)).map(infoFromWire);
    },
    async get(idOrPid, options) {
      if (typeof idOrPid === 'number') {
        const found = (await list(options)).find(({ pid, exit }) => pid === idOrPid && exit === undefined);
        if (found !== undefined) return createProcess(envd, found.id, found.pid, attach);
        throw new SoulBoxError(`No running process has the pid ${idOrPid}.`, {
          ...{ code: 'not_found', reason: 'process_not_found' },
        });
      }
      const answer = await client.get({ processId: idOrPid }, envd.callOptions(options)).catch(rethrow);
      return createProcess(envd, idOrPid, answer.process?.pid ?? 0, attach);
    },
    async start(program, args = [], options = {}) {
      const { envs = {}, cwd = '', terminal, stdin = false, tag, log = {}, user = '' } = options;
      const { timeoutMs = 0, keepSeconds = 0, id = randomId(), ...request } = options;
      const call = client.start(
        {
          ...{ id, command: { program, args: [...args], env: { ...envs }, cwd }, hasInput: stdin, user, keepSeconds },
          ...(terminal === undefined ? {} : { terminal }),
          ...(tag === undefined ? {} : { tag }),
          log: { maxBytes: BigInt(log.maxBytes ?? 0), policy: policies[log.policy ?? 'drop-oldest'] },
          deadlineMs: BigInt(Math.ceil(timeoutMs)),
        },
        envd.callOptions(request),
      );
      const { process } = await call.catch(rethrow);
      return createProcess(envd, process?.id ?? id, process?.pid ?? 0, attach);
    },
  };
}

function createProcess(envd: Envd, id: string, pid: number, attach: Processes['attach']): SandboxProcess {
  const client = envd.processes;
  const processId = id;
  const input = { writer: randomId(), position: 0n, last: Promise.resolve() };

  const sendPiece = async (data: Uint8Array, options: RequestOptions | undefined): Promise<void> => {
    const message = { position: input.position, data };
    try {
      await client.write({ processId, writer: input.writer, input: message }, envd.callOptions(options));
      input.position += BigInt(data.length);
    } catch (error) {
      // It is not known how much was applied. Later input must not be taken for a repetition of this.
      Object.assign(input, { writer: randomId(), position: 0n });
      throw error;
    }
  };
  const signal: SandboxProcess['signal'] = async (number, options) => {
    try {
      await client.signal({ processId, signal: number }, envd.callOptions(options));
      return true;
    } catch (thrown) {
      const error = errorFrom(thrown);
      if (error.code === 'not_found' && error.reason !== 'sandbox_not_found') return false;
      if (error.code === 'failed_precondition') return false;
      throw error;
    }
  };
  return {
    id,
    pid,
    signal,
    attach: (from, options) => attach(id, from, options),
    async write(data, options) {
      const bytes = typeof data === 'string' ? new TextEncoder().encode(data) : data;
      // One after another, because each has its position.
      const written = input.last.then(async () => {
        for (let at = 0; at < bytes.length; at += inputBytesMax)
          await sendPiece(bytes.subarray(at, at + inputBytesMax), options);
      });
      input.last = written.catch(() => undefined);
      await written.catch(rethrow);
    },
    async closeInput(options) {
      await input.last;
      await client.closeInput({ processId }, envd.callOptions(options)).catch(rethrow);
    },
    async resize({ cols, rows }, options) {
      await client.resize({ processId, size: { cols, rows } }, envd.callOptions(options)).catch(rethrow);
    },
    kill: async (options) => await signal(sigkill, options),
    async acknowledge(position, options) {
      const request = { processId, position: BigInt(position) };
      await client.acknowledge(request, envd.callOptions(options)).catch(rethrow);
    },
    async wait(options = {}) {
      for (;;) {
        const call = envd.callOptions({ ...options, requestTimeoutMs: waitMs + waitGraceMs });
        const { process: waited } = await client.wait({ processId, maxWaitMs: waitMs }, call).catch(rethrow);
        if (waited?.exit !== undefined) return exitFromWire(waited.exit);
      }
    },
    async getInfo(options) {
      const { process } = await client.get({ processId }, envd.callOptions(options)).catch(rethrow);
      if (process !== undefined) return infoFromWire(process);
      throw new SoulBoxError('The response describes no process.', { code: 'internal', reason: 'invalid_response' });
    },
    async forget(options) {
      await client.forget({ processId }, envd.callOptions(options)).catch(rethrow);
    },
  };
}

/** 128 bits in hexadecimal. @internal */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function fromToWire(from: AttachFrom): From['from'] {
  if (typeof from === 'number') {
    if (Number.isSafeInteger(from) && from >= 0) return { case: 'position', value: BigInt(from) };
    throw new SoulBoxError(`The position ${from} is not a whole number from 0.`, {
      ...{ code: 'out_of_range', reason: 'position_out_of_range' },
    });
  }
  if (typeof from === 'object') return { case: 'lastBytes', value: BigInt(from.lastBytes) };
  return { case: from, value: {} } as From['from'];
}

const streams: Readonly<Record<OutputStream, 'stdout' | 'stderr' | 'terminal'>> = {
  [OutputStream.UNSPECIFIED]: 'stdout',
  [OutputStream.STDOUT]: 'stdout',
  [OutputStream.STDERR]: 'stderr',
  [OutputStream.TERMINAL]: 'terminal',
};

function eventFromWire(event: ProcessEvent): OutputEvent {
  switch (event.case) {
    case 'attached':
      return { type: 'attached', position: Number(event.value.position) };
    case 'output': {
      const { position, stream, streamPosition, data } = event.value;
      const places = { position: Number(position), streamPosition: Number(streamPosition) };
      return { type: 'output', stream: streams[stream], data, ...places };
    }
    case 'gap':
      return { type: 'gap', from: Number(event.value.from), to: Number(event.value.to) };
    case 'ended':
      return { type: 'ended', position: Number(event.value.position), exit: exitFromWire(event.value.exit) };
  }
}

const causes: Readonly<Record<ExitCause, ProcessExit['cause']>> = {
  [ExitCause.UNSPECIFIED]: 'own',
  [ExitCause.OWN]: 'own',
  [ExitCause.DEADLINE]: 'deadline',
  [ExitCause.LOG_FULL]: 'log-full',
};

function exitFromWire(exit: Exit | undefined): ProcessExit {
  if (exit === undefined)
    throw new SoulBoxError('The response does not say how the process ended.', {
      ...{ code: 'internal', reason: 'invalid_response' },
    });
  const { code, signal, status, cause, endedAtMs } = exit;
  return { code, signal, status, cause: causes[cause], endedAt: new Date(Number(endedAtMs)) };
}

function infoFromWire(wire: Process): ProcessInfo {
  const { id, pid, tag, command, user, origin, startedAtMs, hasTerminal, log, exit } = wire;
  return {
    ...{ id, pid, tag, user, hasTerminal },
    cmd: command?.program ?? '',
    args: command?.args ?? [],
    envs: { ...command?.env },
    cwd: command?.cwd === '' ? undefined : command?.cwd,
    origin: origin === Origin.E2B ? 'e2b' : 'soulbox',
    startedAt: new Date(Number(startedAtMs)),
    oldestPosition: Number(log?.oldest ?? 0n),
    endPosition: Number(log?.end ?? 0n),
    exit: exit === undefined ? undefined : exitFromWire(exit),
  };
}
