import { ExitCause } from '@soulbox/contract/process-v1';
import type { Process } from '@soulbox/contract/process-v1';
import { exitCodes } from '../command-line/exit-codes.ts';
import { exitCodeOf } from './exit-code.ts';
import type { SessionEnd } from './session.ts';
import { resetModes } from './terminal.ts';

/** Tells what the user should know about the end of a session. Returns the exit code of the command. */
export function showEnd(end: SessionEnd, sandboxId: string, { id, pid, hasTerminal }: Process): number {
  if (end.kind === 'ended') {
    if (end.exit?.cause === ExitCause.DEADLINE) console.error('error: The program was killed at its time limit.');
    return exitCodeOf(end.exit);
  }
  if (end.kind === 'unread') return exitCodes.unread;
  if (hasTerminal) resetModes(process.stdout);
  const again = hasTerminal
    ? `connect ${sandboxId} --attach ${id}`
    : `attach --take-over ${sandboxId} ${id} --from ${end.position}`;
  console.error(`${process.stderr.isTTY ? '\n' : ''}Process ${pid} continues. To come back: soulbox sandbox ${again}`);
  return end.kind === 'detached' ? exitCodes.ok : exitCodes.interrupted;
}
