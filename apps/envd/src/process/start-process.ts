import { closeSync, constants } from 'node:fs';
import { constants as signals } from 'node:os';
import { isNodeError, SoulBoxError } from '@soulbox/base';
import type { EnvdConfig } from '../config.ts';
import type { LifeLog } from '../life-log.ts';
import type { LogBudget } from '../output-log/log-budget.ts';
import { createOutputLog } from '../output-log/output-log.ts';
import type { StreamNumber } from '../output-log/records.ts';
import { checkVariable } from '../settings.ts';
import { countPassedBytes } from '../sys/collect-garbage.ts';
import { runAs } from '../sys/credentials.ts';
import type { ExitStatus } from '../sys/exit-status.ts';
import { withUserScore } from '../sys/out-of-memory-score.ts';
import { openPipe } from '../sys/pipe.ts';
import { openTerminal, resizeTerminal } from '../sys/pseudo-terminal.ts';
import { readDescriptor } from '../sys/read-descriptor.ts';
import type { Reaper } from '../sys/reaper.ts';
import type { SpawnStdio } from '../sys/spawn.ts';
import { signalGroup } from '../sys/signal.ts';
import { spawnProgram } from '../sys/spawn.ts';
import type { CallerContext } from '../users/caller.ts';
import type { User } from '../users/users.ts';
import { candidatePaths, processEnvironment } from './environment.ts';
import { exitEvent } from './exit-event.ts';
import { createInputWriter } from './input-writer.ts';
import { createLoggedOutput } from './logged-output.ts';
import type { LoggedOutput, OutputAllowance } from './logged-output.ts';
import type { ManagedProcess, ProcessEventInit, ProcessInputTarget, ProcessSpec } from './managed-process.ts';
import { createOutputHub } from './output-hub.ts';
import type { ProcessTable } from './process-table.ts';
import { createSequencedInput } from './sequenced-input.ts';
import { workingDirectory } from './working-directory.ts';

/** The parts of envd that processes need. */
export interface ProcessContext extends CallerContext {
  readonly config: EnvdConfig;
  readonly log: LifeLog;
  readonly processes: ProcessTable;
  readonly logBudget: LogBudget;
  readonly outputAllowance: OutputAllowance;
  readonly reaper: Reaper;
  readonly trustVariables: Readonly<Record<string, string>>;
}

type OutputName = 'stdout' | 'stderr' | 'pty';

const streamNumbers = { stdout: 1, stderr: 2, pty: 3 } as const satisfies Record<OutputName, StreamNumber>;

/** The connections between a process and envd. `ownFds` stay in envd; `childFds` are closed after the start. */
interface Wiring {
  readonly stdio: readonly [SpawnStdio, SpawnStdio, SpawnStdio];
  readonly outputs: readonly { readonly name: OutputName; readonly fd: number }[];
  readonly inputFd: number | undefined;
  readonly kind: ProcessInputTarget['kind'];
  readonly ownFds: readonly number[];
  readonly childFds: readonly number[];
}

/** Four times the 64 KiB of a pipe: enough to keep a stream busy, and little enough for thousands of processes. */
const highWaterBytes = 256 * 1024;
/** A client that reads nothing for this long while a process waits for it is considered gone. */
const stallMs = 60_000;

/**
 * Starts a process as `user`. Throws bad_request or bad_path for invalid requests, and limit_exceeded at a limit of the
 * kernel.
 */
export function startProcess(context: ProcessContext, user: User, spec: ProcessSpec): ManagedProcess {
  context.processes.checkRoom();
  const { config, terminal } = spec;
  if (config.cmd === '') throw new SoulBoxError('bad_request', 'The request must name a command.');
  for (const [name, text] of Object.entries(config.envs)) checkVariable(name, text);
  const cwd = workingDirectory(config.cwd ?? '', context.settings.defaultWorkdir, user);
  const env = processEnvironment(
    user,
    context.config.searchPath,
    { ...context.trustVariables, ...context.settings.envVars },
    config.envs,
  );
  const spawnOptions = {
    paths: candidatePaths(config.cmd, env['PATH'] ?? ''),
    argv: [config.cmd, ...config.args],
    env,
    cwd,
  };
  const { pid, wiring } = withUserScore(() =>
    runAs(user, () => {
      const made = terminal === undefined ? wirePipes(spec.hasInput) : wireTerminal(openTerminal(terminal));
      try {
        return { pid: spawnProgram({ ...spawnOptions, stdio: made.stdio }), wiring: made };
      } catch (error) {
        made.ownFds.forEach((fd) => closeSync(fd));
        throw startError(config.cmd, error);
      } finally {
        made.childFds.forEach((fd) => closeSync(fd));
      }
    }),
  );
  const exit = new Promise<ExitStatus>((resolve) => context.reaper.watch(pid, resolve));
  // Never used twice in a sandbox, unlike the ids that clients choose.
  const name = context.processes.newId();
  const id = spec.id ?? name;
  const process: ManagedProcess = {
    id,
    spec,
    pid,
    config,
    tag: spec.tag,
    userName: user.name,
    startedAtMs: Date.now(),
    output: createOutputHub<ProcessEventInit>({ highWaterBytes, stallMs, stalled: stalledError }),
    log: createOutputLog({
      ...spec.log,
      path: `${context.config.logDirectory}/${name}`,
      budget: context.logBudget,
      onFull: () => kill(process, 'log-full'),
      onDiskFailure: (error) =>
        context.log.record('warn', 'process', 'Output cannot be written to the disk', { cause: String(error) }),
    }),
    input: inputTarget(wiring),
    cause: 'own',
    endEvent: undefined,
    ended: undefined,
  };
  context.processes.add(process);
  context.log.record('info', 'process', 'Process started', { pid: String(pid), cmd: config.cmd, user: user.name });
  void attend(context, process, wiring, exit);
  return process;
}

/** Kills a process at its deadline, which belongs to the process: it stays in force when the client leaves. */
export function killAtDeadline(process: ManagedProcess, timeoutMs: number): void {
  const timer = setTimeout(() => kill(process, 'deadline'), Math.max(timeoutMs, 0));
  process.output.onEnd(() => clearTimeout(timer));
}

function kill(process: ManagedProcess, cause: ManagedProcess['cause']): void {
  if (process.cause === 'own') process.cause = cause;
  signalGroup(process.pid, signals.signals.SIGKILL);
}

/** Forwards the output. Retires the process when it has ended and nobody can write to its output any more. */
async function attend(
  context: ProcessContext,
  process: ManagedProcess,
  wiring: Wiring,
  exit: Promise<ExitStatus>,
): Promise<void> {
  void exit.then(() => process.log.processExited());
  const [status] = await Promise.all([exit, ...wiring.outputs.map(({ name, fd }) => pump(context, process, name, fd))]);
  const end = exitEvent(status);
  process.endEvent = { event: { case: 'end', value: end } };
  process.ended = { status, endedAtMs: Date.now() };
  process.output.publish(process.endEvent, 0);
  process.output.end();
  if (process.input.kind !== 'none') process.input.writer.destroy();
  // The input writer owns the descriptor of the terminal.
  if (wiring.kind !== 'pty') wiring.outputs.forEach(({ fd }) => closeSync(fd));
  context.processes.retire(process);
  process.log.close();
  context.log.record('info', 'process', 'Process ended', { pid: String(process.pid), status: end.status });
}

async function pump(context: ProcessContext, process: ManagedProcess, name: OutputName, fd: number): Promise<void> {
  const reader = readDescriptor(fd);
  let logged: LoggedOutput | undefined;
  for (;;) {
    await process.output.ready();
    await process.log.ready();
    const bytes = await reader.read();
    if (bytes === undefined) {
      logged?.end();
      return;
    }
    countPassedBytes(bytes.length);
    process.log.append(streamNumbers[name], bytes);
    process.output.publish({ event: { case: 'data', value: { output: { case: name, value: bytes } } } }, bytes.length);
    // Asked each time: a copy of the sandbox may have other settings.
    if (name === 'pty' || !context.settings.logOutput) continue;
    logged ??= createLoggedOutput(context.log, context.outputAllowance, {
      ...{ process: process.id, pid: String(process.pid), stream: name },
      ...(process.tag === undefined ? {} : { tag: process.tag }),
    });
    logged.take(bytes);
  }
}

function wirePipes(hasInput: boolean): Wiring {
  const out = openPipe();
  const errors = openPipe();
  const input = hasInput ? openPipe() : undefined;
  return {
    stdio: [
      input === undefined ? { path: '/dev/null', flags: constants.O_RDONLY } : { fd: input.readFd },
      { fd: out.writeFd },
      { fd: errors.writeFd },
    ],
    outputs: [
      { name: 'stdout', fd: out.readFd },
      { name: 'stderr', fd: errors.readFd },
    ],
    inputFd: input?.writeFd,
    kind: input === undefined ? 'none' : 'stdin',
    ownFds: [out.readFd, errors.readFd, ...(input === undefined ? [] : [input.writeFd])],
    childFds: [out.writeFd, errors.writeFd, ...(input === undefined ? [] : [input.readFd])],
  };
}

/** The child leads a session and opens the terminal first, so it becomes the controlling terminal. */
function wireTerminal({ masterFd, path }: { masterFd: number; path: string }): Wiring {
  return {
    stdio: [{ path, flags: constants.O_RDWR }, { fd: 0 }, { fd: 0 }],
    outputs: [{ name: 'pty', fd: masterFd }],
    inputFd: masterFd,
    kind: 'pty',
    ownFds: [masterFd],
    childFds: [],
  };
}

function inputTarget({ kind, inputFd }: Wiring): ProcessInputTarget {
  if (inputFd === undefined || kind === 'none') return { kind: 'none' };
  const writer = createInputWriter(inputFd);
  const sequenced = createSequencedInput(writer);
  if (kind === 'stdin') return { kind, writer, sequenced };
  return { kind, writer, sequenced, resize: (size) => resizeTerminal(inputFd, size) };
}

function startError(command: string, error: unknown): SoulBoxError {
  const code = isNodeError(error) ? error.code : undefined;
  const text = `error starting process '${command}': `;
  if (code === 'ENOENT') return new SoulBoxError('bad_request', `${text}no such file or directory`, { cause: error });
  if (code === 'EACCES') return new SoulBoxError('bad_request', `${text}permission denied`, { cause: error });
  if (code === 'EAGAIN' || code === 'ENOMEM') {
    return new SoulBoxError('limit_exceeded', `${text}the sandbox has reached its limit of processes or memory`, {
      cause: error,
    });
  }
  return new SoulBoxError('bad_request', `${text}${code ?? 'unknown error'}`, { cause: error });
}

function stalledError(): SoulBoxError {
  return new SoulBoxError(
    'limit_exceeded',
    `The output was not read for ${stallMs / 1000} s. Connect again to receive further output.`,
  );
}
