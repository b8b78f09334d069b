import koffi from 'koffi';

// The process's own symbols: works with every libc that Node itself was linked against.
const flock = koffi.load(null).func('int flock(int fd, int operation)') as (fd: number, operation: number) => number;

// flock(2); the same numbers on every architecture Node runs on.
const LOCK_EX_NB = 2 | 4;
const EWOULDBLOCK = 11;

/** Takes the lock of an open file or folder, kept until it is closed or its process ends. False when somebody has it. */
export function tryLock(fd: number): boolean {
  if (flock(fd, LOCK_EX_NB) === 0) return true;
  if (koffi.errno() === EWOULDBLOCK) return false;
  throw new Error(`flock: errno ${koffi.errno()}`);
}
