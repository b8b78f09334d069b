import { followCommand } from './command-handle.ts';
import type { CommandHandle } from './command-handle.ts';
import { createByPid, defaultTimeoutMs } from './commands.ts';
import type { RequestOptions } from './config.ts';
import type { UserOptions } from './envd.ts';
import type { AttachFrom, LogSettings, Processes } from './processes.ts';

/** The size of a terminal, in characters. */
export interface PtySize {
  readonly cols: number;
  readonly rows: number;
}

/** The options of a terminal. */
export interface PtyOptions extends UserOptions, PtySize {
  /** Called with output as it arrives. */
  readonly onData: (data: Uint8Array) => void | Promise<void>;
  /** Variables beside those of the sandbox. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** The working directory. Default: the home of the user. */
  readonly cwd?: string | undefined;
  /** After this time the shell is killed, in milliseconds. 0: never. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
  /** The log of the output. Default: 16 MiB, `drop-oldest`. */
  readonly log?: LogSettings | undefined;
}

/** The options of a connection to a running terminal. */
export interface PtyConnectOptions extends RequestOptions {
  readonly onData: (data: Uint8Array) => void | Promise<void>;
  /** Where to begin to read. Default: `newest`, as E2B's clients do. */
  readonly from?: AttachFrom | undefined;
}

/** Terminals of one sandbox. */
export interface Pty {
  /** Starts a login shell in a terminal. */
  create(options: PtyOptions): Promise<CommandHandle>;
  /** Connects to a running terminal. Throws `process_not_found`. */
  connect(pid: number, options: PtyConnectOptions): Promise<CommandHandle>;
  /** Types into the terminal. */
  sendInput(pid: number, data: string | Uint8Array, options?: RequestOptions): Promise<void>;
  /** Changes its size. */
  resize(pid: number, size: PtySize, options?: RequestOptions): Promise<void>;
  /** Sends SIGKILL. False if there is no such terminal. */
  kill(pid: number, options?: RequestOptions): Promise<boolean>;
}

const environment = { TERM: 'xterm-256color', LANG: 'C.UTF-8', LC_ALL: 'C.UTF-8' };

/** @internal */
export function createPty(processes: Processes): Pty {
  const byPid = createByPid(processes);
  return {
    async create({ cols, rows, onData, envs, timeoutMs = defaultTimeoutMs, ...options }) {
      const process = await processes.start('/bin/bash', ['-i', '-l'], {
        ...{ ...options, timeoutMs, terminal: { cols, rows }, envs: { ...environment, ...envs } },
      });
      byPid.add(process);
      return followCommand(process, { onData, from: 'oldest' });
    },
    async connect(pid, { onData, from = 'newest', ...options }) {
      return followCommand(await byPid.get(pid, options), { onData, from, signal: options.signal });
    },
    sendInput: async (pid, data, options) => await (await byPid.get(pid, options)).write(data, options),
    resize: async (pid, size, options) => await (await byPid.get(pid, options)).resize(size, options),
    kill: async (pid, options) => await byPid.kill(pid, options),
  };
}
