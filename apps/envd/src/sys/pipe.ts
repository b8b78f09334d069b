import { constants } from 'node:fs';
import { syscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Same on every architecture (kernel: include/uapi/asm-generic/fcntl.h). */
const closeOnExec = 0o2000000;
const setStatusFlags = 4;

/**
 * A real pipe, because on the socket pairs of the runtime `echo > /dev/stdout` fails. Made with the credentials of
 * whoever calls, who can then open it again through /proc/self/fd.
 */
export function openPipe(): { readonly readFd: number; readonly writeFd: number } {
  const fds = new Int32Array(2);
  syscall('pipe2', nr.pipe2, fds, closeOnExec);
  return { readFd: fds[0] ?? -1, writeFd: fds[1] ?? -1 };
}

/** Makes reads and writes fail with EAGAIN where they would wait. */
export function setNonBlocking(fd: number): void {
  syscall('fcntl', nr.fcntl, fd, setStatusFlags, constants.O_NONBLOCK);
}
