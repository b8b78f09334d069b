import koffi from 'koffi';

// The process's own symbols: works with every libc that Node itself was linked against.
const libc = koffi.load(null);
const lseek = libc.func('int64 lseek(int fd, int64 offset, int whence)') as (
  fd: number,
  offset: number,
  whence: number,
) => number | bigint;
const syncFileRange = libc.func('int sync_file_range(int fd, int64 offset, int64 length, uint flags)') as (
  fd: number,
  offset: number,
  length: number,
  flags: number,
) => number;
const lockFile = libc.func('int flock(int fd, int operation)') as (fd: number, operation: number) => number;

// lseek(2), sync_file_range(2), flock(2); the same numbers on every architecture Node runs on.
const SEEK_DATA = 3;
const SEEK_HOLE = 4;
const ENXIO = 6;
const EWOULDBLOCK = 11;
const SYNC_FILE_RANGE_WRITE = 2;
const LOCK_EX_NB = 2 | 4;

/** Where the next data at or after `offset` begins; undefined when only a hole follows. */
export function seekData(fd: number, offset: number): number | undefined {
  const found = Number(lseek(fd, offset, SEEK_DATA));
  if (found >= 0) return found;
  if (koffi.errno() === ENXIO) return undefined;
  throw callError('lseek');
}

/** Where the data at `offset` ends: at a hole, or at the end of the file. */
export function seekHole(fd: number, offset: number): number {
  const found = Number(lseek(fd, offset, SEEK_HOLE));
  if (found < 0) throw callError('lseek');
  return found;
}

/** Lets the kernel begin to write a range to the disk. A hint: file systems that cannot are left alone. */
export function beginWriteBack(fd: number, offset: number, length: number): void {
  syncFileRange(fd, offset, length, SYNC_FILE_RANGE_WRITE);
}

/** Takes the lock of an open file, kept until it is closed or its process ends. False when somebody has it. */
export function tryLock(fd: number): boolean {
  if (lockFile(fd, LOCK_EX_NB) === 0) return true;
  if (koffi.errno() === EWOULDBLOCK) return false;
  throw callError('flock');
}

function callError(name: string): Error {
  return new Error(`${name}: errno ${koffi.errno()}`);
}
