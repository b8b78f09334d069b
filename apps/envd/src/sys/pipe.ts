import { constants } from 'node:fs';
import { syscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** The same on every architecture (kernel: include/uapi/asm-generic/fcntl.h). */
const closeOnExec = 0o2000000;
const setStatusFlags = 4;

/**
 * Creates a real pipe, because `echo > /dev/stdout` fails on the socket pairs of the runtime. It is created with the
 * credentials of the caller, who can then reopen it through /proc/self/fd.
 */
export function openPipe(): { readonly readFd: number; readonly writeFd: number } {
  const fds = new Int32Array(2);
  syscall('pipe2', nr.pipe2, fds, closeOnExec);
  return { readFd: fds[0] ?? -1, writeFd: fds[1] ?? -1 };
}

/** Makes reads and writes fail with EAGAIN instead of waiting. */
export function setNonBlocking(fd: number): void {
  syscall('fcntl', nr.fcntl, fd, setStatusFlags, constants.O_NONBLOCK);
}
