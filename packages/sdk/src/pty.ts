import { followCommand } from './command-handle.ts';
import type { CommandHandle } from './command-handle.ts';
import { createByPid, defaultTimeoutMs, waitingBytesOf } from './commands.ts';
import type { RequestOptions } from './config.ts';
import type { UserOptions } from './envd.ts';
import type { RunProcess } from './processes.ts';
import type { AttachFrom, LogSettings, Processes } from './process-types.ts';

/** The size of a terminal. */
export interface PtySize {
  /** The width, in characters. */
  readonly cols: number;
  /** The height, in lines. */
  readonly rows: number;
}

/** The options of a terminal, as in e2b 2.51.0. `log` is an addition. */
export interface PtyOptions extends UserOptions, PtySize {
  /**
   * Called with output as it arrives, in order. Bytes of one character may be split. Reading waits for what it returns.
   */
  readonly onData: (data: Uint8Array) => void | Promise<void>;
  /**
   * Variables beside those of the sandbox. Default: `TERM=xterm-256color`, `LANG` and `LC_ALL` `C.UTF-8`, as in e2b
   * 2.51.0.
   */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** The working directory. Default: that of the template, otherwise the home of the user. */
  readonly cwd?: string | undefined;
  /** After this time the shell is killed, in milliseconds. 0: never. Default: 60,000, as in e2b 2.51.0. */
  readonly timeoutMs?: number | undefined;
  /** The log that keeps the output for later readers. Default: 16 MiB, `drop-oldest`. */
  readonly log?: LogSettings | undefined;
}

/** The options of a connection to a running terminal. */
export interface PtyConnectOptions extends RequestOptions {
  /** Called with output as it arrives, in order. Reading waits for what it returns. */
  readonly onData: (data: Uint8Array) => void | Promise<void>;
  /**
   * Where to begin to read. Default: `newest`, as in e2b 2.51.0. A position beyond the end throws
   * `position_out_of_range`.
   */
  readonly from?: AttachFrom | undefined;
}

/** Terminals of one sandbox, with the calls of e2b 2.51.0. Each is also a process of `sandbox.process`. */
export interface Pty {
  /**
   * Starts the shell `/bin/bash -i -l` in a terminal. Errors: `unknown_user`, `limit_exceeded` (4096 running
   * processes).
   */
  create(options: PtyOptions): Promise<CommandHandle>;
  /** Connects to a running terminal by its pid. Other readers continue. Throws `process_not_found`. */
  connect(pid: number, options: PtyConnectOptions): Promise<CommandHandle>;
  /**
   * Types into the terminal. Resolves when the terminal has taken the bytes. Text is sent as UTF-8. Throws
   * `process_not_found`.
   */
  sendInput(pid: number, data: string | Uint8Array, options?: RequestOptions): Promise<void>;
  /** Changes the size of the terminal. Throws `process_not_found`. */
  resize(pid: number, size: PtySize, options?: RequestOptions): Promise<void>;
  /** Sends SIGKILL to the process group of the shell. False if there is no such terminal. */
  kill(pid: number, options?: RequestOptions): Promise<boolean>;
}

const environment = { TERM: 'xterm-256color', LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' };

/** @internal */
export function createPty(processes: Processes, runProcess: RunProcess): Pty {
  const byPid = createByPid(processes);
  return {
    async create({ cols, rows, onData, envs, timeoutMs = defaultTimeoutMs, ...options }) {
      const { process, read } = await runProcess('/bin/bash', ['-i', '-l'], {
        ...{ ...options, timeoutMs, terminal: { cols, rows }, envs: { ...environment, ...envs } },
      });
      byPid.add(process);
      return followCommand(process, { onData, read, waitingLogBytes: waitingBytesOf(options.log ?? {}) });
    },
    async connect(pid, { onData, from = 'newest', ...options }) {
      const process = await byPid.get(pid, options);
      const read = (reading: { readonly signal: AbortSignal }) => process.attach(from, reading);
      return followCommand(process, { onData, read, signal: options.signal });
    },
    sendInput: async (pid, data, options) => await (await byPid.get(pid, options)).write(data, options),
    resize: async (pid, size, options) => await (await byPid.get(pid, options)).resize(size, options),
    kill: async (pid, options) => await byPid.kill(pid, options),
  };
}
