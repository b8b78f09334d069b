import { ConnectError } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { Program, ProgramOutput, Programs } from '@soulbox/envd-client';
import type { StepContext } from '../build-spec.ts';

/**
 * A login shell, bash if it exists. The command is passed as an argument, so that it cannot become part of this script.
 */
const loginShell = 'if [ -x /bin/bash ]; then exec /bin/bash -l -c "$1"; fi; exec /bin/sh -l -c "$1"';

/** A command of the build's author, in the context of the build. */
export function commandIn(context: StepContext, command: string, user = context.user): Program {
  return {
    command: '/bin/sh',
    args: ['-c', loginShell, 'sh', command],
    user,
    env: context.variables,
    ...(context.workdir === '' ? {} : { cwd: context.workdir }),
  };
}

/** A script of our own, run as root, that sees `args` as its positional parameters. */
export function script(text: string, args: readonly string[]): Program {
  return { command: '/bin/sh', args: ['-eu', '-c', text, 'sh', ...args], user: 'root', cwd: '/' };
}

/** Our scripts print a path or a word. */
const maxAnswerLength = 64 * 1024;

export interface ScriptEnd {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a script and gives the first part of its output. */
export async function runScript(programs: Programs, program: Program, signal: AbortSignal): Promise<ScriptEnd> {
  const text = { stdout: '', stderr: '' };
  const { exitCode } = await runInBuild(programs, { ...program, signal }, (channel, bytes) => {
    if (text[channel].length < maxAnswerLength) text[channel] += Buffer.from(bytes).toString('utf8');
  });
  return { exitCode, ...text };
}

/**
 * Like `programs.run`, but an abort does not wait for the sandbox, and a refusal by envd becomes the build error
 * `build_failed` with envd's message.
 */
export async function runInBuild(
  programs: Programs,
  program: Program & { readonly signal: AbortSignal },
  onOutput?: ProgramOutput,
): Promise<{ readonly exitCode: number; readonly status: string }> {
  const { signal } = program;
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => {
    aborted.reject(signal.reason as Error);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    const running = programs.run(program, onOutput);
    running.catch(() => undefined);
    return await Promise.race([running, aborted.promise]);
  } catch (error) {
    if (signal.aborted || !(error instanceof ConnectError)) throw error;
    throw explain(error);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

const codeNames: Readonly<Record<number, string>> = { 3: 'invalid_argument', 5: 'not_found', 16: 'unauthenticated' };

/** A refusal by envd has a code that clients look for. Any other error means that the sandbox is gone. */
function explain(error: ConnectError): SoulBoxError {
  const code = codeNames[error.code];
  const message = code === undefined ? 'the sandbox of the build ended' : `${code}: ${error.rawMessage.slice(0, 500)}`;
  return new SoulBoxError('build_failed', `command failed: ${message}`, { cause: error });
}
