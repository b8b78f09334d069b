import { constants } from 'node:os';
import { SystemCallError, lastErrno, libcFunction } from './libc.ts';

const flock = libcFunction<[fd: number, operation: number]>('int flock(int fd, int operation)');

/** asm-generic/fcntl.h: LOCK_EX | LOCK_NB. */
const lockExclusiveNow = 2 | 4;

/**
 * Takes the lock of an open file or folder. The lock is held until the descriptor is closed or its process ends.
 * Returns false if another holder has it.
 */
export function tryLock(fd: number): boolean {
  if (flock(fd, lockExclusiveNow) === 0) return true;
  if (lastErrno() === constants.errno.EWOULDBLOCK) return false;
  throw new SystemCallError('flock', lastErrno());
}
