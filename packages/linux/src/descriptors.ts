import { closeSync } from 'node:fs';
import { check, libcFunction } from './libc.ts';

export const read = libcFunction<[fd: number, buffer: Buffer, size: number]>(
  'long read(int fd, void *buffer, size_t size)',
);
export const ioctl = libcFunction<[fd: number, request: number, argument: Buffer]>(
  'int ioctl(int fd, unsigned long request, void *argument)',
);
const fcntl = libcFunction<[fd: number, command: number, value: number]>('int fcntl(int fd, int command, int value)');
/** `fds` holds entries of struct pollfd (poll.h). A `timeoutMs` of -1 waits without end. */
export const poll = libcFunction<[fds: Buffer, count: number, timeoutMs: number]>(
  'int poll(void *fds, unsigned long count, int timeout)',
);

/** asm-generic/poll.h */
export const pollIn = 1;

/** F_DUPFD and F_SETFD of asm-generic/fcntl.h. */
const duplicate = 0;
const setFlags = 2;
const dup2 = libcFunction<[from: number, to: number]>('int dup2(int from, int to)');

/** Lets programs that this process executes inherit the descriptor. Throws `SystemCallError`, also if it is not open. */
export function keepOnExec(fd: number): void {
  check('fcntl', fcntl(fd, setFlags, 0));
}

/**
 * Gives these descriptors the numbers from `first` on. What had these numbers is closed: only for a process that
 * executes another program right afterwards, which inherits them.
 */
export function renumber(fds: readonly number[], first: number): void {
  // Above all numbers that are wanted, so that none is overwritten before its turn.
  const above = Math.max(first + fds.length, ...fds) + 1;
  const copies = fds.map((fd) => check('fcntl', fcntl(fd, duplicate, above)));
  copies.forEach((fd, index) => check('dup2', dup2(fd, first + index)));
  for (const fd of copies) closeSync(fd);
}
