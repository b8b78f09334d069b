import type { RequestOptions } from './config.ts';
import type { UserOptions } from './envd.ts';

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
   * and a repetition after a lost connection has no second effect. After 60 s without one it throws `unreachable`, and it
   * is not known how much was written. `requestTimeoutMs` limits it, too. Throws `process_not_ready` without an open input.
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
