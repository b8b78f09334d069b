import koffi from 'koffi';

// The process's own symbols: works with every libc that Node itself was linked against.
const libc = koffi.load(null);

type Call<Arguments extends readonly unknown[], Result = number> = (...args: Arguments) => Result;

export const socket = libc.func('int socket(int domain, int type, int protocol)') as Call<[number, number, number]>;
export const bind = libc.func('int bind(int fd, void *address, uint32_t length)') as Call<[number, Buffer, number]>;
export const listen = libc.func('int listen(int fd, int backlog)') as Call<[number, number]>;
export const accept = libc.func('int accept4(int fd, void *address, void *length, int flags)') as Call<
  [number, null, null, number]
>;
export const recvmsg = libc.func('long recvmsg(int fd, void *message, int flags)') as Call<[number, Buffer, number]>;
export const poll = libc.func('int poll(void *fds, unsigned long count, int timeout)') as Call<
  [Buffer, number, number]
>;
export const read = libc.func('long read(int fd, void *buffer, size_t size)') as Call<[number, Buffer, number]>;
export const ioctl = libc.func('int ioctl(int fd, unsigned long request, void *argument)') as Call<
  [number, number, Buffer]
>;
export const waitpid = libc.func('int waitpid(int pid, void *status, int options)') as Call<[number, null, number]>;
const signal = libc.func('void *signal(int number, void *handler)') as Call<[number, bigint], bigint>;
const clone = libc.func('int clone(void *run, void *stack, int flags, void *argument)') as Call<
  [bigint, bigint, number, null]
>;
const mmap = libc.func('void *mmap(void *at, size_t size, int protection, int flags, int fd, int64_t offset)') as Call<
  [null, number, number, number, number, number],
  bigint
>;

// asm-generic/errno.h; the same on every architecture SoulBox runs on.
export const errno = { noEntry: 2, noProcess: 3, interrupted: 4, again: 11, noMemory: 12, exists: 17 } as const;

/** The error number of the last call. */
export const lastErrno = (): number => koffi.errno();

/** Throws when a call has failed; gives its result otherwise. */
export function check(what: string, result: number): number {
  if (result < 0) throw new Error(`${what}: errno ${lastErrno()}`);
  return result;
}

/** Address of a buffer's memory. It stays where it is while the buffer is reachable: buffers this large are not on the heap. */
export const addressOf = (buffer: Buffer): bigint => koffi.address(buffer);

const sigIgn = 1n;
/** Makes this process and those it starts by `startSharer` deaf to a signal. */
export const ignoreSignal = (number: number): bigint => signal(number, sigIgn);

const stackBytes = 65_536;
const protReadWrite = 3;
const mapPrivateAnonymous = 0x22;
const cloneFiles = 0x400;
const sigchld = 17;

/**
 * Starts a process that shares this one's table of descriptors and does nothing but wait for a signal. What either opens,
 * both have, and it stays open until both are gone. Gives its pid. It never comes back into JavaScript: its first and last
 * function is the C library's `pause`.
 */
export function startSharer(): number {
  const stack = mmap(null, stackBytes, protReadWrite, mapPrivateAnonymous, -1, 0);
  const pause = libc.symbol('pause') as bigint;
  return check('clone', clone(pause, stack + BigInt(stackBytes - 64), cloneFiles | sigchld, null));
}
