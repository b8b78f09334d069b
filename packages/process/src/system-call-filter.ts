/**
 * The numbers of a system call on x86-64 and arm64 (asm/unistd_64.h, asm-generic/unistd.h). -1: it does not exist
 * there.
 */
type Numbers = readonly [x64: number, arm64: number];

/**
 * System calls that a process never needs if it only moves bytes between open sockets, and that others have used to
 * break out.
 */
const denied: Readonly<Record<string, Numbers>> = {
  // Programs and processes. Threads are distinguished below.
  execve: [59, 221],
  execveat: [322, 281],
  fork: [57, -1],
  vfork: [58, -1],
  // Access to other processes.
  ptrace: [101, 117],
  process_vm_readv: [310, 270],
  process_vm_writev: [311, 271],
  process_madvise: [440, 440],
  process_mrelease: [448, 448],
  pidfd_open: [434, 434],
  pidfd_getfd: [438, 438],
  pidfd_send_signal: [424, 424],
  kcmp: [312, 272],
  kill: [62, 129],
  rt_sigqueueinfo: [129, 138],
  // Namespaces and mounts.
  setns: [308, 268],
  unshare: [272, 97],
  chroot: [161, 51],
  pivot_root: [155, 41],
  mount: [165, 40],
  umount2: [166, 39],
  open_tree: [428, 428],
  move_mount: [429, 429],
  fsopen: [430, 430],
  fsconfig: [431, 431],
  fsmount: [432, 432],
  fspick: [433, 433],
  mount_setattr: [442, 442],
  // Access to files without their paths, and devices.
  open_by_handle_at: [304, 265],
  name_to_handle_at: [303, 264],
  mknod: [133, -1],
  mknodat: [259, 33],
  fanotify_init: [300, 262],
  quotactl: [179, 60],
  quotactl_fd: [443, 443],
  acct: [163, 89],
  swapon: [167, 224],
  swapoff: [168, 225],
  // Kernel subsystems with a history of vulnerabilities. None is needed here.
  bpf: [321, 280],
  perf_event_open: [298, 241],
  userfaultfd: [323, 282],
  io_uring_setup: [425, 425],
  io_uring_enter: [426, 426],
  io_uring_register: [427, 427],
  keyctl: [250, 219],
  add_key: [248, 217],
  request_key: [249, 218],
  personality: [135, 92],
  modify_ldt: [154, -1],
  // Control of the machine.
  init_module: [175, 105],
  finit_module: [313, 273],
  delete_module: [176, 106],
  kexec_load: [246, 104],
  kexec_file_load: [320, 294],
  reboot: [169, 142],
  iopl: [172, -1],
  ioperm: [173, -1],
  syslog: [103, 116],
  settimeofday: [164, 170],
  clock_settime: [227, 112],
  adjtimex: [159, 171],
  clock_adjtime: [305, 266],
  sethostname: [170, 161],
  setdomainname: [171, 162],
  // The ports of the process are already open.
  bind: [49, 200],
};

const special = { clone: [56, 220], clone3: [435, 435], socket: [41, 198] } as const satisfies Record<string, Numbers>;
/**
 * Calls from this number on are newer than this list (Linux 6.10 has 462). Since 424 both architectures use the same
 * numbers.
 */
const firstUnknown = 463;

// linux/audit.h, linux/bpf_common.h, linux/seccomp.h, linux/sched.h
const architectures = { x64: { audit: 0xc000003e, column: 0 }, arm64: { audit: 0xc00000b7, column: 1 } } as const;
const LOAD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_BITS = 0x45;
const RETURN = 0x06;
const KILL_PROCESS = 0x80000000;
const ALLOW = 0x7fff0000;
const fail = (errno: number): number => 0x00050000 | errno;
const EPERM = 1;
const ENOSYS = 38;
const CLONE_THREAD = 0x10000;
const AF_UNIX = 1;
/** struct seccomp_data: call number, architecture, instruction pointer, six arguments. */
const fields = { number: 0, architecture: 4, firstArgument: 16 } as const;

type Instruction = readonly [code: number, value: number, whenTrue?: number, whenFalse?: number];

/**
 * Builds the classic BPF program of this machine for seccomp(2). Denied calls fail with EPERM. Throws for an unknown
 * architecture.
 */
export function buildFilter(
  architecture: string = process.arch,
  { opensConnections = false }: { readonly opensConnections?: boolean } = {},
): Buffer {
  const { audit, column } = architectureOf(architecture);
  const none = Object.entries(denied).flatMap(([name, numbers]): Instruction[] =>
    numbers[column] < 0 || (opensConnections && name === 'bind')
      ? []
      : [
          [JUMP_EQUAL, numbers[column], 0, 1],
          [RETURN, fail(EPERM)],
        ],
  );
  return assemble([
    [LOAD, fields.architecture],
    [JUMP_EQUAL, audit, 1, 0],
    [RETURN, KILL_PROCESS],
    [LOAD, fields.number],
    // This also covers x32, whose numbers begin far above.
    [JUMP_AT_LEAST, firstUnknown, 0, 1],
    [RETURN, fail(ENOSYS)],
    ...none,
    // The arguments of clone3 are in memory, where a filter cannot see them. If the kernel does not know clone3, libc
    // uses `clone` instead.
    [JUMP_EQUAL, special.clone3[column], 0, 1],
    [RETURN, fail(ENOSYS)],
    [JUMP_EQUAL, special.clone[column], 0, 4],
    [LOAD, fields.firstArgument],
    [JUMP_BITS, CLONE_THREAD, 1, 0],
    [RETURN, fail(EPERM)],
    [RETURN, ALLOW],
    ...(opensConnections ? [] : onlyUnixSockets(column)),
    [RETURN, ALLOW],
  ]);
}

function onlyUnixSockets(column: 0 | 1): Instruction[] {
  return [
    [JUMP_EQUAL, special.socket[column], 0, 4],
    [LOAD, fields.firstArgument],
    [JUMP_EQUAL, AF_UNIX, 1, 0],
    [RETURN, fail(EPERM)],
    [RETURN, ALLOW],
  ];
}

/** The filter for starting Node without io_uring. To Node, the kernel looks like one that has no io_uring. */
export function buildIoUringFilter(architecture: string = process.arch): Buffer {
  const { audit, column } = architectureOf(architecture);
  const rings = [denied['io_uring_setup'], denied['io_uring_enter'], denied['io_uring_register']];
  return assemble([
    [LOAD, fields.architecture],
    [JUMP_EQUAL, audit, 1, 0],
    [RETURN, KILL_PROCESS],
    [LOAD, fields.number],
    ...rings.flatMap((numbers): Instruction[] => [
      [JUMP_EQUAL, numbers?.[column] ?? -1, 0, 1],
      [RETURN, fail(ENOSYS)],
    ]),
    [RETURN, ALLOW],
  ]);
}

function architectureOf(name: string): (typeof architectures)[keyof typeof architectures] {
  if (!Object.hasOwn(architectures, name)) throw new Error(`no system call filter for ${name}`);
  return architectures[name as keyof typeof architectures];
}

/** The number of a call, for tests. */
export function systemCallNumber(name: string): number {
  const numbers = denied[name];
  if (numbers === undefined) throw new Error(`${name} is not denied`);
  return numbers[architectures[process.arch as keyof typeof architectures].column];
}

export const deniedCalls: readonly string[] = Object.keys(denied);

/** struct sock_filter: eight bytes each. */
function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, value, whenTrue = 0, whenFalse = 0], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(whenTrue, index * 8 + 2);
    bytes.writeUInt8(whenFalse, index * 8 + 3);
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4);
  });
  return bytes;
}
