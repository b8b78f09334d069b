import { ExitCause } from '@soulbox/contract/process-v1';
import type { Exit } from '@soulbox/contract/process-v1';
import { exitCodes } from '../command-line/exit-codes.ts';

/** As in shells: the code of the program, 128 plus the number of a signal, 124 for a time limit. */
export function exitCodeOf(exit: Exit | undefined): number {
  if (exit === undefined) return exitCodes.noProgram;
  if (exit.cause === ExitCause.DEADLINE) return exitCodes.timedOut;
  if (exit.signal > 0) return exitCodes.signalBase + (exit.signal & 0x7f);
  return exit.code & 0xff;
}
