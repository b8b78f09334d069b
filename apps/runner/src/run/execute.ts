import { SoulBoxError } from '@soulbox/base';
import type { Program, ProgramEnd } from '@soulbox/envd-client';
import type { Detection, Execution } from '@soulbox/runtimes';
import { notInstalled } from './choose.ts';
import type { Emit } from './event-stream.ts';
import type { RunRequest } from './run-request.ts';
import { launched, launcherProgram, maxReportBytes, parseReport } from './launcher.ts';
import type { LaunchReport } from './launcher.ts';
import type { RunSession } from './run-session.ts';
import type { Outcome, RunEvent } from './run-event.ts';

export interface Running {
  readonly session: RunSession;
  readonly request: RunRequest;
  readonly cwd: string;
  readonly detection: Detection;
  readonly execution: Execution;
  readonly left: AbortSignal;
  /** Path in the sandbox for the launcher's report. The caller removes the file. */
  readonly reportPath: string;
}

/** The launcher ends a program at its time limit. If it does not report within this time, the runner ends it. */
const launcherGraceMs = 1000;
/** envd ends the program after this time, in case the runner is gone. */
const envdGraceMs = 5000;

/** Runs the program to its end. Output is emitted immediately. */
export async function execute(running: Running, emit: Emit<RunEvent>): Promise<Outcome> {
  const { session, request, left, reportPath } = running;
  const hasLauncher = await session.hasLauncher;
  if (!hasLauncher && request.memoryMb !== 0) {
    throw new SoulBoxError(
      'capability_missing',
      `A memory limit requires ${launcherProgram}, which this sandbox does not have.`,
    );
  }
  const overtime = new AbortController();
  const limitMs = request.timeoutMs + (hasLauncher ? launcherGraceMs : 0);
  const timer = setTimeout(() => overtime.abort(), limitMs);
  const output = { stdout: 0, stderr: 0 };
  const startedAt = performance.now();
  try {
    const end = await session.programs.run(
      {
        ...programOf(running, hasLauncher ? reportPath : undefined),
        timeoutMs: limitMs + envdGraceMs,
        signal: AbortSignal.any([left, overtime.signal]),
        onStart: async (pid) => await emit({ kind: 'started', pid }),
      },
      async (channel, bytes) => {
        const room = Math.max(0, request.outputLimitBytes - output[channel]);
        output[channel] += bytes.length;
        if (room > 0) await emit({ kind: channel, bytes: bytes.subarray(0, room) });
      },
    );
    const executeMs = performance.now() - startedAt;
    const report = hasLauncher ? await readReport(session, reportPath) : undefined;
    if (report !== undefined && report.errno !== 0) throw notInstalled(session, [running.detection], []);
    return {
      ...endOf(end),
      timedOut: report?.timedOut === true || overtime.signal.aborted,
      memoryExceeded: report?.memoryExceeded ?? false,
      stdoutTruncated: output.stdout > request.outputLimitBytes,
      stderrTruncated: output.stderr > request.outputLimitBytes,
      executeMs,
      peakMemoryBytes: report?.peakBytes ?? 0,
    };
  } catch (error) {
    // envd has not found the program.
    const isMissing = !hasLauncher && error instanceof SoulBoxError && error.reason === 'bad_request';
    throw isMissing ? notInstalled(session, [running.detection], []) : error;
  } finally {
    clearTimeout(timer);
  }
}

function programOf({ session, request, cwd, execution }: Running, reportPath: string | undefined): Program {
  const [command, ...args] = execution.command;
  const start =
    reportPath === undefined
      ? { command, args }
      : launched(execution.command, reportPath, { timeoutMs: request.timeoutMs, memoryMb: request.memoryMb });
  return {
    ...start,
    env: { ...execution.env, ...request.env },
    cwd,
    user: session.user,
    ...(request.stdin === undefined ? {} : { stdin: request.stdin }),
  };
}

async function readReport(session: RunSession, path: string): Promise<LaunchReport | undefined> {
  const bytes = await session.files.read(path, maxReportBytes).catch(() => undefined);
  return bytes === undefined ? undefined : parseReport(bytes.toString('latin1'));
}

/** envd reports `exit status 1` and `signal: killed`. */
const signalNames: Readonly<Record<string, string>> = {
  aborted: 'SIGABRT',
  'alarm clock': 'SIGALRM',
  'bus error': 'SIGBUS',
  'floating point exception': 'SIGFPE',
  hangup: 'SIGHUP',
  'illegal instruction': 'SIGILL',
  interrupt: 'SIGINT',
  killed: 'SIGKILL',
  'broken pipe': 'SIGPIPE',
  quit: 'SIGQUIT',
  'segmentation fault': 'SIGSEGV',
  terminated: 'SIGTERM',
  'trace/breakpoint trap': 'SIGTRAP',
};

function endOf({ exitCode, status }: ProgramEnd): Pick<Outcome, 'exitCode' | 'signal'> {
  const text = /^signal: ([a-z/ ]{1,40}|signal \d{1,3})/.exec(status)?.[1]?.trim();
  if (text === undefined) return { exitCode, signal: '' };
  return { exitCode: undefined, signal: signalNames[text] ?? text };
}
