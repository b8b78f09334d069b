import { callErrorFrom } from '@soulbox/client/connect';
import { findApi } from '../api/connection.ts';
import { withExitCode } from '../command-line/exit-code-of-error.ts';
import { exitCodes } from '../command-line/exit-codes.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { reachProcesses } from './reach-processes.ts';
import type { ReachedProcesses } from './reach-processes.ts';
import { catchSignals, codeOfSignal, Interrupted } from './signals.ts';
import type { Signals } from './signals.ts';

interface SandboxArguments {
  readonly sandbox: string;
  readonly 'data-dir'?: string | undefined;
}

export type SandboxAction = (sandbox: ReachedProcesses, signals: Signals) => Promise<number>;

/**
 * Runs what a command does with the processes of a sandbox. Its errors are told apart from those of programs by their exit
 * codes.
 */
export async function withSandbox(
  args: SandboxArguments,
  act: SandboxAction,
  options: Parameters<typeof reachProcesses>[2] = {},
): Promise<number> {
  using signals = catchSignals();
  try {
    const api = await findApi(args['data-dir']);
    using sandbox = await signals.orInterrupted(reachProcesses(api, args.sandbox, options));
    return await act(sandbox, signals);
  } catch (error) {
    if (error instanceof Interrupted) return codeOfSignal(error.signal);
    throw error instanceof Error && !(error instanceof UsageError) ? withExitCode(error, codeOfFault(error)) : error;
  }
}

/** As in shells, for a program that could not be started. */
function codeOfFault(error: Error): number {
  const { message, code } = callErrorFrom(error);
  if (code !== 'invalid_argument') return exitCodes.noProgram;
  if (message.endsWith('no such file or directory')) return exitCodes.notFound;
  return message.endsWith('permission denied') ? exitCodes.notExecutable : exitCodes.noProgram;
}
