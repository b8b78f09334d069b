import { followCommand } from './command-handle.ts';
import type { CommandHandle, OutputCallbacks } from './command-handle.ts';
import type { RequestOptions } from './config.ts';
import type { UserOptions } from './envd.ts';
import type { CommandResult } from './error.ts';
import { SoulBoxError } from './error.ts';
import type { RunProcess } from './processes.ts';
import type { AttachFrom, LogSettings, Processes, ProcessInfo, SandboxProcess } from './process-types.ts';

/** The options of a command. All but `log` are those of e2b 2.51.0. */
export interface CommandOptions extends UserOptions, Omit<OutputCallbacks, 'onData'> {
  /** Return a {@link CommandHandle} while the command runs. Default: false. */
  readonly background?: boolean | undefined;
  /**
   * The working directory. Default: that of the template, otherwise the home of the user. A missing one throws
   * `bad_path`.
   */
  readonly cwd?: string | undefined;
  /** Variables beside those of the sandbox. They win over variables with the same name. Default: none. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** Give the command a standard input for `sendStdin`. Default: false, which means an empty one. */
  readonly stdin?: boolean | undefined;
  /**
   * After this time the command is killed, in milliseconds. 0: never. Default: 60,000, as in e2b 2.51.0. `wait` then
   * throws `command_timeout`.
   */
  readonly timeoutMs?: number | undefined;
  /**
   * The log of the output. Default: 16 MiB. Its policy is `block` for a command that is waited for, so that nothing is
   * lost, and `drop-oldest` in the background.
   */
  readonly log?: LogSettings | undefined;
}

/** The options of a connection to a running command. All but `from` are those of e2b 2.51.0. */
export interface CommandConnectOptions extends RequestOptions, Omit<OutputCallbacks, 'onData'> {
  /**
   * Where to begin to read. Default: `newest`, as in e2b 2.51.0. A position beyond the end throws
   * `position_out_of_range`.
   */
  readonly from?: AttachFrom | undefined;
}

/**
 * Commands of one sandbox, with the calls of e2b 2.51.0. They run in `/bin/bash -l -c`. Each is also a process of
 * `sandbox.process`.
 */
export interface Commands {
  /**
   * Runs a command and waits for its end. A lost connection is replaced, and no byte is missing or repeated. Throws
   * `command_failed` if the exit code is not 0 and `command_timeout` after `timeoutMs`; both have what was printed in
   * `result`. Other errors: `unknown_user`, `bad_path` (`cwd`), `limit_exceeded` (4096 running processes).
   */
  run(command: string, options?: CommandOptions & { readonly background?: false | undefined }): Promise<CommandResult>;
  /** Starts a command and returns while it runs. Its exit code is an error of `wait` only. */
  run(command: string, options: CommandOptions & { readonly background: true }): Promise<CommandHandle>;
  /** Runs or starts a command, for a `background` that is not known when the program is compiled. */
  run(command: string, options?: CommandOptions): Promise<CommandHandle | CommandResult>;
  /** Lists running commands and terminals, also those of other clients and of `sandbox.process`. */
  list(options?: RequestOptions): Promise<ProcessInfo[]>;
  /** Connects to a running command by its pid. Other readers continue. Throws `process_not_found`. */
  connect(pid: number, options?: CommandConnectOptions): Promise<CommandHandle>;
  /** Sends SIGKILL to the process group of a command. False if there is no such command. */
  kill(pid: number, options?: RequestOptions): Promise<boolean>;
  /**
   * Writes standard input. Resolves when the command has taken it. Text is sent as UTF-8. Errors: `process_not_found`,
   * `process_not_ready` (the command was started without `stdin`).
   */
  sendStdin(pid: number, data: string | Uint8Array, options?: RequestOptions): Promise<void>;
  /** Closes standard input after all writes. Errors: `process_not_found`, `process_not_ready` (a terminal). */
  closeStdin(pid: number, options?: RequestOptions): Promise<void>;
}

/** @internal */
export const defaultTimeoutMs = 60_000;
/** Of envd. */
const defaultLogBytes = 16 * 1024 * 1024;

/** The size of a log whose process waits for its reader. Undefined: it does not wait. @internal */
export function waitingBytesOf({ policy, maxBytes = defaultLogBytes }: LogSettings): number | undefined {
  return policy === 'block' ? maxBytes : undefined;
}

/** @internal */
export function createCommands(processes: Processes, runProcess: RunProcess): Commands {
  const byPid = createByPid(processes);
  const run = async (command: string, options: CommandOptions = {}): Promise<CommandHandle | CommandResult> => {
    const { background = false, timeoutMs = defaultTimeoutMs, onStdout, onStderr, log = {}, ...rest } = options;
    const policy = log.policy ?? (background ? 'drop-oldest' : 'block');
    const { process, read } = await runProcess('/bin/bash', ['-l', '-c', command], {
      ...{ ...rest, timeoutMs, log: { ...log, policy } },
    });
    byPid.add(process);
    const handle = followCommand(process, {
      ...{ onStdout, onStderr, read },
      signal: background ? undefined : options.signal,
      waitingLogBytes: waitingBytesOf({ ...log, policy }),
    });
    return background ? handle : await handle.wait();
  };
  return {
    run: run as Commands['run'],
    async list(options) {
      return (await processes.list(options)).filter(({ exit }) => exit === undefined);
    },
    async connect(pid, { from = 'newest', onStdout, onStderr, ...request } = {}) {
      const process = await byPid.get(pid, request);
      const read = (reading: { readonly signal: AbortSignal }) => process.attach(from, reading);
      return followCommand(process, { onStdout, onStderr, read, signal: request.signal });
    },
    kill: async (pid, options) => await byPid.kill(pid, options),
    sendStdin: async (pid, data, options) => await (await byPid.get(pid, options)).write(data, options),
    closeStdin: async (pid, options) => await (await byPid.get(pid, options)).closeInput(options),
  };
}

/** Processes by their pid, as E2B's calls name them. @internal */
export interface ByPid {
  add(process: SandboxProcess): void;
  /** Throws `process_not_found`. */
  get(pid: number, options?: RequestOptions): Promise<SandboxProcess>;
  /** False if there is no such process. */
  kill(pid: number, options?: RequestOptions): Promise<boolean>;
}

/** Objects that are kept, because each has the position of its input. Beyond it, one is looked up and begins anew. */
const rememberedMax = 1000;

/** @internal */
export function createByPid(processes: Processes): ByPid {
  const known = new Map<number, SandboxProcess>();
  const add = (process: SandboxProcess): void => {
    known.delete(process.pid);
    known.set(process.pid, process);
    const [oldest] = known.keys();
    if (known.size > rememberedMax && oldest !== undefined) known.delete(oldest);
  };
  const get = async (pid: number, options?: RequestOptions): Promise<SandboxProcess> => {
    const found = known.get(pid) ?? (await processes.get(pid, options));
    add(found);
    return found;
  };
  return {
    ...{ add, get },
    async kill(pid, options) {
      try {
        return await (await get(pid, options)).kill(options);
      } catch (error) {
        if (error instanceof SoulBoxError && error.code === 'not_found' && error.reason !== 'sandbox_not_found')
          return false;
        throw error;
      }
    },
  };
}
