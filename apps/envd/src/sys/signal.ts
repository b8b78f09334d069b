import { constants } from 'node:os';
import { systemError, trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Signals a whole process group. Gives false when nobody is left in it. */
export function signalGroup(groupId: number, signal: number): boolean {
  const result = trySyscall(nr.kill, -groupId, signal);
  if (result === -constants.errno.ESRCH) return false;
  if (result < 0) throw systemError(-result, 'kill');
  return true;
}

/** Signals every process of the sandbox but envd, its PID 1 (kill(2) with -1 leaves both out). None is no fault. */
export function signalEveryone(signal: number): void {
  const result = trySyscall(nr.kill, -1, signal);
  if (result < 0 && result !== -constants.errno.ESRCH) throw systemError(-result, 'kill');
}
