import { libcFunction } from './libc.ts';

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

/** F_SETFD of asm-generic/fcntl.h. */
const setFlags = 2;

/** Lets programs that this process executes inherit the descriptor. Returns false if it is not open. */
export const keepOnExec = (fd: number): boolean => fcntl(fd, setFlags, 0) === 0;
