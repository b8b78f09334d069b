import { exitCodes } from './exit-codes.ts';
import { UsageError } from './usage-error.ts';

const codes = new WeakMap<object, number>();

/** Makes the command end with this code when it throws the error. */
export function withExitCode<E extends Error>(error: E, code: number): E {
  codes.set(error, code);
  return error;
}

export function exitCodeOfError(error: unknown): number {
  if (error instanceof UsageError) return exitCodes.usage;
  return (error instanceof Error ? codes.get(error) : undefined) ?? exitCodes.failed;
}
