import { followCommand } from './command-handle.ts';
import type { CommandHandle, OutputCallbacks } from './command-handle.ts';
import type { RequestOptions } from './config.ts';
import type { UserOptions } from './envd.ts';
import type { CommandResult } from './error.ts';
import { SoulBoxError } from './error.ts';
import type { AttachFrom, LogSettings, Processes, ProcessInfo, SandboxProcess } from './processes.ts';

/** The options of a command. */
export interface CommandOptions extends UserOptions, Omit<OutputCallbacks, 'onData'> {
  /** Return while the command runs. Default: false. */
  readonly background?: boolean | undefined;
  /** The working directory. Default: the home of the user. */
  readonly cwd?: string | undefined;
  /** Variables beside those of the sandbox. */
  readonly envs?: Readonly<Record<string, string>> | undefined;
  /** Give the command a standard input for `sendStdin`. Default: false. */
  readonly stdin?: boolean | undefined;
  /** After this time the command is killed, in milliseconds. 0: never. Default: 60,000. */
  readonly timeoutMs?: number | undefined;
  /**
   * The log of the output. Default: 16 MiB. Its policy is `block` for a command that is waited for, so that nothing is
   * lost, and `drop-oldest` in the background.
   */
  readonly log?: LogSettings | undefined;
}

/** The options of a connection to a running command. */
export interface CommandConnectOptions extends RequestOptions, Omit<OutputCallbacks, 'onData'> {
  /** Where to begin to read. Default: `newest`, as E2B's clients do. */
  readonly from?: AttachFrom | undefined;
}

/** Commands of one sandbox. They run in `/bin/bash -l -c`. */
export interface Commands {
  /** Runs a command and waits for its end. Throws `command_failed` if its exit code is not 0, and `command_timeout`. */
  run(command: string, options?: CommandOptions & { readonly background?: false | undefined }): Promise<CommandResult>;
  /** Starts a command in the background. */
  run(command: string, options: CommandOptions & { readonly background: true }): Promise<CommandHandle>;
  run(command: string, options?: CommandOptions): Promise<CommandHandle | CommandResult>;
  /** Lists running commands and terminals. */
  list(options?: RequestOptions): Promise<ProcessInfo[]>;
  /** Connects to a running command. Throws `process_not_found`. */
  connect(pid: number, options?: CommandConnectOptions): Promise<CommandHandle>;
  /** Sends SIGKILL. False if there is no such command. */
  kill(pid: number, options?: RequestOptions): Promise<boolean>;
  /** Writes standard input. The command must have been started with `stdin`. */
  sendStdin(pid: number, data: string | Uint8Array, options?: RequestOptions): Promise<void>;
  /** Closes standard input. */
  closeStdin(pid: number, options?: RequestOptions): Promise<void>;
}

/** @internal */
export const defaultTimeoutMs = 60_000;
/** Of envd. */
const defaultLogBytes = 16 * 1024 * 1024;

/** @internal */
export function createCommands(processes: Processes): Commands {
  const byPid = createByPid(processes);
  const run = async (command: string, options: CommandOptions = {}): Promise<CommandHandle | CommandResult> => {
    const { background = false, timeoutMs = defaultTimeoutMs, onStdout, onStderr, log = {}, ...rest } = options;
    const policy = log.policy ?? (background ? 'drop-oldest' : 'block');
    const process = await processes.start('/bin/bash', ['-l', '-c', command], {
      ...{ ...rest, timeoutMs, log: { ...log, policy } },
    });
    byPid.add(process);
    const handle = followCommand(process, {
      ...{ onStdout, onStderr, from: 'oldest' },
      signal: background ? undefined : options.signal,
      waitingLogBytes: policy === 'block' ? (log.maxBytes ?? defaultLogBytes) : undefined,
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
      return followCommand(process, { onStdout, onStderr, from, signal: request.signal });
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
        if (error instanceof SoulBoxError && error.code === 'not_found') return false;
        throw error;
      }
    },
  };
}
