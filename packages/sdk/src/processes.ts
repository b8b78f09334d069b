import type { CallError } from '@soulbox/client';
import { attachProcess } from '@soulbox/client/process';
import type { ProcessEvent } from '@soulbox/client/process';
import { ExitCause, LogPolicy, Origin, OutputStream } from '@soulbox/contract/process-v1';
import type { Exit, From, Process } from '@soulbox/contract/process-v1';
import { resumption, waitMs } from './envd.ts';
import type { Envd, UserOptions } from './envd.ts';
import { timeLimit, wholeNumber } from './config.ts';
import type { RequestOptions } from './config.ts';
import { errorFrom, rethrow, SoulBoxError } from './error.ts';

/** What happens when the log of a process is full, see {@link LogSettings.policy}. */
export type LogPolicyName = 'drop-oldest' | 'block' | 'fail';

/** The log that keeps the output of a process on the disk of the sandbox. All logs of a sandbox have at most 1 GiB. */
export interface LogSettings {
  /** Output that is kept, in bytes, 64 KiB to 1 GiB. Default: 16 MiB. */
  readonly maxBytes?: number | undefined;
  /**
   * `drop-oldest`: the oldest output is lost to readers that have not read it. `block`: the process waits until output
   * is acknowledged. `fail`: the process is killed, with the cause `log-full`. Default: `drop-oldest`.
   */
  readonly policy?: LogPolicyName | undefined;
}

/** The options of {@link Processes.start}. */
export interface ProcessOptions extends UserOptions {
  /**
   * Names the process, so that a repeated start does not start it twice: 1 to 64 letters, digits, `-` and `_`. Default:
   * a random one. The id of a process that was started with other options throws `process_id_used`.
   */
  readonly id?: string | undefined;
  /** Variables beside those of the sandbox. They win over variables with the same name. Default: none. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /**
   * The working directory. Default: that of the template, otherwise the home of the user. A missing one throws
   * `bad_path`.
   */
  readonly cwd?: string | undefined;
  /** A terminal of this size instead of pipes, in characters. Default: pipes. */
  readonly terminal?:
    | {
        /** The width, in characters. */
        readonly cols: number;
        /** The height, in lines. */
        readonly rows: number;
      }
    | undefined;
  /** A pipe as standard input; otherwise it is empty. A terminal always takes input. Default: false. */
  readonly stdin?: boolean | undefined;
  /** A name that need not be unique. E2B's calls find the process by it, too. Default: none. */
  readonly tag?: string | undefined;
  /** The log that keeps the output. Default: 16 MiB, `drop-oldest`. */
  readonly log?: LogSettings | undefined;
  /** After this time the process group is killed, in milliseconds. 0: never. Default: 0. */
  readonly timeoutMs?: number | undefined;
  /** How long exit and log are kept after the end, in seconds, up to 86,400. Default: 600. */
  readonly keepSeconds?: number | undefined;
}

/** How a process ended. */
export interface ProcessExit {
  /** The exit code. -1 if a signal ended the process, as in E2B's protocol. */
  readonly code: number;
  /** The number of the Linux signal that ended the process. 0: none. */
  readonly signal: number;
  /** The end as text: `exit status N` or `signal: NAME`, as in E2B's protocol. */
  readonly status: string;
  /** `deadline`: its time was up. `log-full`: its log was full, with the policy `fail`. `own`: anything else. */
  readonly cause: 'own' | 'deadline' | 'log-full';
  /** When the process ended, by the clock of the sandbox. */
  readonly endedAt: Date;
}

/** What is known about a process. Positions count bytes of output, of all streams together. */
export interface ProcessInfo {
  /** The id for {@link Processes.get} and {@link Processes.attach}. It is the same after a pause and in a fork. */
  readonly id: string;
  /** The pid inside the sandbox. After the end, another process can get it. */
  readonly pid: number;
  /** The name that the start gave it. Undefined: none. */
  readonly tag: string | undefined;
  /** The program: its path or its name in `PATH`. For `commands.run` it is `/bin/bash`. */
  readonly cmd: string;
  /** The arguments, without the program itself. */
  readonly args: readonly string[];
  /** The variables that the start gave it, without those of the sandbox. */
  readonly envs: Readonly<Record<string, string>>;
  /** The working directory that the start named. Undefined: the default. */
  readonly cwd: string | undefined;
  /** The name of the user of the sandbox that it runs as. */
  readonly user: string;
  /** The protocol that started it: `soulbox.process.v1`, which this package uses, or E2B's `process.Process`. */
  readonly origin: 'soulbox' | 'e2b';
  /** When the process was started, by the clock of the sandbox. */
  readonly startedAt: Date;
  /** Whether it has a terminal instead of pipes. */
  readonly hasTerminal: boolean;
  /** The oldest position that the log still has. Older output is a `gap` for readers. */
  readonly oldestPosition: number;
  /** The position of the next byte: how many bytes the process has printed. */
  readonly endPosition: number;
  /** How it ended. Undefined while the process runs or its output is still open. */
  readonly exit: ProcessExit | undefined;
}

/**
 * Where to begin to read.
 *
 * - A number: this position, a whole number from 0. Beyond the end, the read throws `position_out_of_range`.
 * - `oldest`: the oldest output that the log still has.
 * - `newest`: only output from now on.
 * - `{ lastBytes }`: the last bytes of the log.
 */
export type AttachFrom =
  | number
  | 'oldest'
  | 'newest'
  | {
      /** How many bytes, of all streams together. Fewer if the log has fewer. */
      readonly lastBytes: number;
    };

/**
 * One event of an attached process. Each byte arrives exactly once and in order. The first event is `attached`, the
 * last one `ended`. Positions count bytes of output, of all streams together, from 0.
 */
export type OutputEvent =
  | {
      /** The reading begins. */
      readonly type: 'attached';
      /** The position of the first byte that follows. */
      readonly position: number;
    }
  | {
      /** Bytes that the process printed. */
      readonly type: 'output';
      /** The position of the first byte. That of the next event is `position` + `data.length`. */
      readonly position: number;
      /** The stream of the bytes. With a terminal there is only `terminal`. */
      readonly stream: 'stdout' | 'stderr' | 'terminal';
      /** The position of the first byte within its own stream. */
      readonly streamPosition: number;
      /** At most 128 KiB. Bytes of one character may be split between events. */
      readonly data: Uint8Array;
    }
  | {
      /** The log had dropped output before it was read. */
      readonly type: 'gap';
      /** The position of the first byte that is missing. */
      readonly from: number;
      /** The position of the next byte that is there. */
      readonly to: number;
    }
  | {
      /** The process and its output have ended. */
      readonly type: 'ended';
      /** The position after the last byte. */
      readonly position: number;
      /** How the process ended. */
      readonly exit: ProcessExit;
    };

/**
 * One process in a sandbox. It goes on without readers, and its id is the same after a pause and in a fork. After
 * `forget`, or when the time of `keepSeconds` is over, its calls throw `process_not_found`; `signal` and `kill` return
 * false.
 */
export interface SandboxProcess {
  /** The id for {@link Processes.get}. Another program can attach with it. */
  readonly id: string;
  /** The pid inside the sandbox. */
  readonly pid: number;
  /**
   * Reads output from a position to the end of the process. Default: `oldest`. A lost connection is replaced at the
   * position that was reached, so that no byte is missing or repeated; after 60 s without one, it throws `unreachable`
   * (code `unavailable`). Throws `position_out_of_range` for a position beyond the end. To leave the loop ends the
   * reading, not the process.
   */
  attach(from?: AttachFrom, options?: { readonly signal?: AbortSignal | undefined }): AsyncGenerator<OutputEvent>;
  /**
   * Writes input. Resolves when the process has taken it. Text is sent as UTF-8. Writes of one object keep their order,
   * and a repetition after a lost connection has no second effect. Throws `process_not_ready` without an open input.
   */
  write(data: string | Uint8Array, options?: RequestOptions): Promise<void>;
  /** Closes standard input after all writes. A second call has no effect. Throws `process_not_ready` for a terminal. */
  closeInput(options?: RequestOptions): Promise<void>;
  /** Changes the size of the terminal, in characters. Throws `process_not_ready` without a terminal. */
  resize(size: { readonly cols: number; readonly rows: number }, options?: RequestOptions): Promise<void>;
  /** Sends a Linux signal, by its number such as 15, to the process group. False if the process has ended. */
  signal(signal: number, options?: RequestOptions): Promise<boolean>;
  /** Sends SIGKILL to the process group. False if the process has ended. */
  kill(options?: RequestOptions): Promise<boolean>;
  /**
   * Says that output before this position is no longer needed. With the policy `block`, the process can go on. Output
   * can still be read until its room is needed. A position beyond the end throws `position_out_of_range`.
   */
  acknowledge(position: number, options?: RequestOptions): Promise<void>;
  /**
   * Waits for the end, for as long as it takes. `requestTimeoutMs` does not limit it. Throws an error with the code
   * `unavailable` after one to two minutes without a connection.
   */
  wait(options?: { readonly signal?: AbortSignal | undefined }): Promise<ProcessExit>;
  /** Reads what is known about the process now. */
  getInfo(options?: RequestOptions): Promise<ProcessInfo>;
  /**
   * Removes an ended process with its log, before `keepSeconds` are over. Throws `process_not_ready` for a running one.
   */
  forget(options?: RequestOptions): Promise<void>;
}

/**
 * The processes of one sandbox, whichever client started them, by the protocol of docs/protocol.md. E2B's clients have
 * nothing like it. `commands` and `pty` use it.
 */
export interface Processes {
  /** Lists running processes and those whose exit is kept ({@link ProcessOptions.keepSeconds}). */
  list(options?: RequestOptions): Promise<ProcessInfo[]>;
  /** Finds a process by its id, or a running one by its pid. Throws `process_not_found`. */
  get(idOrPid: string | number, options?: RequestOptions): Promise<SandboxProcess>;
  /**
   * Starts a program, without a shell. `args` are the arguments after the program. Errors: `unknown_user`, `bad_path`
   * (`cwd`), `process_id_used`, `limit_exceeded` (4096 running processes).
   */
  start(program: string, args?: readonly string[], options?: ProcessOptions): Promise<SandboxProcess>;
  /**
   * Reads the output of a process by its id, see {@link SandboxProcess.attach}. Default: from `oldest` on. Throws
   * `process_not_found`.
   */
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

/** The largest piece of input of one message. */
const inputBytesMax = 1024 * 1024;
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
          ...{ id, command: { program, args: [...args], env: { ...envs }, cwd }, hasInput: stdin, user },
          keepSeconds: wholeNumber('keepSeconds', keepSeconds),
          ...(terminal === undefined ? {} : { terminal }),
          ...(tag === undefined ? {} : { tag }),
          log: {
            maxBytes: BigInt(wholeNumber('log.maxBytes', log.maxBytes ?? 0)),
            policy: policies[log.policy ?? 'drop-oldest'],
          },
          deadlineMs: BigInt(timeLimit('timeoutMs', timeoutMs, Number.MAX_SAFE_INTEGER) ?? 0),
        },
        envd.callOptions(request),
      );
      const { process } = await call.catch(rethrow);
      return createProcess(envd, process?.id ?? id, process?.pid ?? 0, attach);
    },
  };
}

function createProcess(envd: Envd, id: string, pid: number, attach: Processes['attach']): SandboxProcess {
  const { processes: client, patient } = envd;
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
      const request = { processId, position: positionToWire(position) };
      await patient.acknowledge(request, envd.callOptions(options)).catch(rethrow);
    },
    async wait(options = {}) {
      for (;;) {
        const call = envd.callOptions({ ...options, requestTimeoutMs: 0 });
        const { process: waited } = await patient.wait({ processId, maxWaitMs: waitMs }, call).catch(rethrow);
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
  if (typeof from === 'number') return { case: 'position', value: positionToWire(from) };
  if (typeof from === 'object') return { case: 'lastBytes', value: BigInt(wholeNumber('lastBytes', from.lastBytes)) };
  return { case: from, value: {} } as From['from'];
}

function positionToWire(position: number): bigint {
  if (Number.isSafeInteger(position) && position >= 0) return BigInt(position);
  throw new SoulBoxError(`The position ${position} is not a whole number from 0.`, {
    ...{ code: 'out_of_range', reason: 'position_out_of_range' },
  });
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
