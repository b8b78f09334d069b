import { SoulBoxError } from '@soulbox/base';
import { commandIn, runInBuild } from './shell.ts';
import type { PerformStep } from './step.ts';

/** A longer command is truncated in a message. */
const quotedLength = 1000;

/** RUN [command, user?] */
export const performRun: PerformStep = async ({ context, output, signal, programs }, { args }) => {
  const [command = '', user = ''] = args;
  const program = commandIn(context, command, user === '' ? context.user : user);
  const inside = await programs();
  try {
    const { exitCode, status } = await runInBuild(inside, { ...program, signal }, output.take);
    if (exitCode !== 0) throw new SoulBoxError('build_failed', status);
  } catch (error) {
    throw nameCommand(command, error);
  } finally {
    output.end();
  }
  return { context, changed: true };
};

/** Adds the command to the error's message, in the form that clients look for. */
export function nameCommand(command: string, error: unknown): unknown {
  if (!(error instanceof SoulBoxError) || error.reason !== 'build_failed') return error;
  const quoted = command.length > quotedLength ? `${command.slice(0, quotedLength)}…` : command;
  return new SoulBoxError('build_failed', `failed to run command '${quoted}': ${error.message}`, { cause: error });
}
