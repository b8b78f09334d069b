import { constants } from 'node:os';
import { systemError, trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Signals a complete process group. Returns false if no process is left in it. */
export function signalGroup(groupId: number, signal: number): boolean {
  const result = trySyscall(nr.kill, -groupId, signal);
  if (result === -constants.errno.ESRCH) return false;
  if (result < 0) throw systemError(-result, 'kill');
  return true;
}
