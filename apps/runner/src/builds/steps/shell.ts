import { ConnectError } from '@connectrpc/connect';
import { SoulBoxError } from '@soulbox/base';
import type { Program, ProgramOutput, Programs } from '@soulbox/envd-client';
import type { StepContext } from '../build-spec.ts';

/** A login shell, bash where there is one. The command comes as an argument, so that nothing of it is part of this text. */
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

/** What a script of ours prints is a path or a word. */
const maxAnswerLength = 64 * 1024;

export interface ScriptEnd {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs one and gives the first of what it prints. */
export async function runScript(programs: Programs, program: Program, signal: AbortSignal): Promise<ScriptEnd> {
  const text = { stdout: '', stderr: '' };
  const { exitCode } = await runInBuild(programs, { ...program, signal }, (channel, bytes) => {
    if (text[channel].length < maxAnswerLength) text[channel] += Buffer.from(bytes).toString('utf8');
  });
  return { exitCode, ...text };
}

/**
 * As `programs.run`, but an abort does not wait for the sandbox, and what its envd refuses is an error of the build: `build_failed`
 * with envd's words.
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

/** envd's answer names a code that clients look for. Everything else is a sandbox that is not there any more. */
function explain(error: ConnectError): SoulBoxError {
  const code = codeNames[error.code];
  const message = code === undefined ? 'the sandbox of the build ended' : `${code}: ${error.rawMessage.slice(0, 500)}`;
  return new SoulBoxError('build_failed', `command failed: ${message}`, { cause: error });
}
