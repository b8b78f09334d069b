import { check, libcFunction, libcSymbol } from './libc.ts';

export const waitpid = libcFunction<[pid: number, status: null, options: number]>(
  'int waitpid(int pid, void *status, int options)',
);
const signal = libcFunction<[number: number, handler: bigint], bigint>('void *signal(int number, void *handler)');
const clone = libcFunction<[run: bigint, stack: bigint, flags: number, argument: null]>(
  'int clone(void *run, void *stack, int flags, void *argument)',
);
const mmap = libcFunction<
  [at: null, size: number, protection: number, flags: number, fd: number, offset: number],
  bigint
>('void *mmap(void *at, size_t size, int protection, int flags, int fd, int64_t offset)');
const schedSetScheduler = libcFunction<[pid: number, policy: number, parameters: Buffer]>(
  'int sched_setscheduler(int pid, int policy, const void *parameters)',
);

/** linux/sched.h: the usual policy; children do not inherit the process's priority. */
export const scheduler = { other: 0, resetOnFork: 0x4000_0000 } as const;

/** Sets policy and flags of a process; its real-time priority is 0. */
export function setScheduler(pid: number, policy: number): void {
  check('sched_setscheduler', schedSetScheduler(pid, policy, Buffer.alloc(4)));
}

/** SIG_IGN of asm-generic/signal-defs.h. */
const sigIgn = 1n;

/** Makes this process, and those that `startSharer` starts, ignore a signal. */
export function ignoreSignal(number: number): void {
  signal(number, sigIgn);
}

const stackBytes = 65_536;
/** asm-generic/mman-common.h: PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS. */
const protReadWrite = 3;
const mapPrivateAnonymous = 0x22;
/** linux/sched.h: CLONE_FILES, with the signal that the parent gets at its end (asm-generic/signal.h). */
const cloneFiles = 0x400;
const sigchld = 17;

/**
 * Starts a process that shares this one's table of descriptors and only waits for a signal. A descriptor that either
 * opens exists in both, and stays open until both have ended. Returns its pid. The process never runs JavaScript: its
 * first and last function is the C library's `pause`.
 */
export function startSharer(): number {
  const stack = mmap(null, stackBytes, protReadWrite, mapPrivateAnonymous, -1, 0);
  return check('clone', clone(libcSymbol('pause'), stack + BigInt(stackBytes - 64), cloneFiles | sigchld, null));
}
