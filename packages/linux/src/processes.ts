import { closeSync } from 'node:fs';
import { addressOf, check, lastErrno, libcFunction, libcSymbol, SystemCallError } from './libc.ts';

export const waitpid = libcFunction<[pid: number, status: Buffer | null, options: number]>(
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

/**
 * linux/sched.h: the normal policy, and the flag that children do not inherit the scheduling settings of the process.
 */
export const scheduler = { other: 0, resetOnFork: 0x4000_0000 } as const;

/** Sets the policy and flags of a process. Its real-time priority is 0. */
export function setScheduler(pid: number, policy: number): void {
  check('sched_setscheduler', schedSetScheduler(pid, policy, Buffer.alloc(4)));
}

const prlimit = libcFunction<[pid: number, resource: number, wanted: Buffer | null, found: Buffer | null]>(
  'int prlimit(int pid, int resource, const void *wanted, void *found)',
);
/** asm-generic/resource.h: resources that the kernel counts per owner of a user namespace. */
export const ownerResources = { lockedMemory: 8, pendingSignals: 11, messageQueues: 12 } as const;
/** struct rlimit: the soft and the hard limit. */
const limitBytes = 16;
export const noLimit = 2n ** 64n - 1n;

/** Returns the soft limit of a resource for a process; 0 is this process. Throws `SystemCallError`. */
export function readSoftLimit(pid: number, resource: number): bigint {
  const found = Buffer.alloc(limitBytes);
  check('prlimit', prlimit(pid, resource, null, found));
  return found.readBigUInt64LE(0);
}

/** Sets the soft limit of a process, and of those that it starts from then on. Throws `SystemCallError`. */
export function setSoftLimit(pid: number, resource: number, limit: bigint): void {
  const limits = Buffer.alloc(limitBytes);
  check('prlimit', prlimit(pid, resource, null, limits));
  limits.writeBigUInt64LE(limit, 0);
  check('prlimit', prlimit(pid, resource, limits, null));
}

/** SIG_IGN of asm-generic/signal-defs.h. */
const sigIgn = 1n;

/** Makes this process ignore a signal, and also the processes that `startSharer` starts. */
export function ignoreSignal(number: number): void {
  signal(number, sigIgn);
}

const stackBytes = 65_536;
/** asm-generic/mman-common.h: PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS. */
const protReadWrite = 3;
const mapPrivateAnonymous = 0x22;
/**
 * linux/sched.h: CLONE_FILES, combined with the signal that the parent receives when the process ends
 * (asm-generic/signal.h).
 */
const cloneFiles = 0x400;
const sigchld = 17;

/**
 * Starts a process that shares the descriptor table of this one and only waits for a signal. A descriptor that either
 * process opens exists in both, and stays open until both have ended. Returns the pid. The process never runs
 * JavaScript: the only function it executes is `pause` of the C library.
 */
export function startSharer(): number {
  const stack = mmap(null, stackBytes, protReadWrite, mapPrivateAnonymous, -1, 0);
  return check('clone', clone(libcSymbol('pause'), stack + BigInt(stackBytes - 64), cloneFiles | sigchld, null));
}

const prctl = libcFunction<[option: number, a: number, b: number, c: number, d: number]>(
  'int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)',
);
const chroot = libcFunction<[path: string]>('int chroot(const char *path)');
/** The C library has no function for seccomp(2). */
const seccomp = libcFunction<[number: number, operation: number, flags: number, program: Buffer]>(
  'long syscall(long number, unsigned int operation, unsigned int flags, const void *program)',
);

/** linux/prctl.h */
const option = { parentDeathSignal: 1, dropFromBoundingSet: 24, noNewPrivileges: 38 } as const;
const sigkill = 9;
const einval = 22;
/** linux/seccomp.h. The number of the call differs between architectures. */
const setModeFilter = 1;
const forAllThreads = 1;
const seccompNumbers = { x64: 317, arm64: 277 } as const;

const execvpe = libcFunction<[file: string, argv: readonly (string | null)[], environment: readonly (string | null)[]]>(
  'int execvpe(const char *file, const char **argv, const char **environment)',
);

/**
 * Replaces the program of this process at once, without Node's own work at an exit: its descriptors may already belong
 * to the new program. `argv[0]` is a path, or a name to which the PATH of this process leads. Returns only by throwing
 * `SystemCallError`.
 */
export function replaceProgram(argv: readonly string[], environment: Readonly<Record<string, string>>): never {
  const variables = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  execvpe(argv[0] ?? '', [...argv, null], [...variables, null]);
  throw new SystemCallError('execvpe', lastErrno());
}

/** Makes the kernel kill this process when its parent ends in any way. A change of user cancels it. */
export function dieWithParent(): void {
  check('prctl', prctl(option.parentDeathSignal, sigkill, 0, 0, 0));
}

/** Restricts every thread of the process to the files below `path`. */
export function changeRoot(path: string): void {
  check('chroot', chroot(path));
  process.chdir('/');
}

/** Ensures that no program that this thread executes gets a capability. */
export function dropBoundingSet(): void {
  for (let capability = 0; prctl(option.dropFromBoundingSet, capability, 0, 0, 0) === 0; capability++);
  // EINVAL means that the number is above the last capability.
  if (lastErrno() !== einval) throw new SystemCallError('prctl', lastErrno());
}

/** Ensures that an executed program never gains rights, whatever its file's mode or capabilities say. */
export function setNoNewPrivileges(): void {
  check('prctl', prctl(option.noNewPrivileges, 1, 0, 0, 0));
}

/**
 * Installs a filter for all system calls from here on: a classic BPF program over struct seccomp_data. It cannot be
 * removed. `allThreads` needs `setNoNewPrivileges`. Without it the filter applies to this thread only, and needs root.
 */
export function filterSystemCalls(filter: Buffer, { allThreads }: { readonly allThreads: boolean }): void {
  // struct sock_fprog: the count of instructions of eight bytes, padding, a pointer to them.
  const program = Buffer.alloc(16);
  program.writeUInt16LE(filter.length / 8, 0);
  program.writeBigUInt64LE(addressOf(filter), 8);
  const number = seccompNumbers[process.arch as keyof typeof seccompNumbers];
  const thread = check('seccomp', seccomp(number, setModeFilter, allThreads ? forAllThreads : 0, program));
  if (thread !== 0) throw new Error(`seccomp: thread ${thread} could not be brought along`);
}

/** asm-generic/unistd.h */
const numbers = { pidfdOpen: 434, pidfdGetfd: 438 } as const;
const syscall = libcFunction<[number: number, one: number, two: number, three: number]>(
  'long syscall(long number, long one, long two, long three)',
);

/**
 * Opens what another process has open, as the same open file. The caller makes sure that the pid is still that process, and
 * may trace it. Throws `SystemCallError`.
 */
export function takeDescriptor(pid: number, fd: number): number {
  const handle = check('pidfd_open', syscall(numbers.pidfdOpen, pid, 0, 0));
  try {
    return check('pidfd_getfd', syscall(numbers.pidfdGetfd, handle, fd, 0));
  } finally {
    closeSync(handle);
  }
}
