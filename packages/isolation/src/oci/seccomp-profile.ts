import { allowedSyscalls, refusedSyscalls } from './seccomp-syscalls.ts';

export interface SyscallArgument {
  readonly index: number;
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: 'SCMP_CMP_EQ' | 'SCMP_CMP_NE' | 'SCMP_CMP_GT' | 'SCMP_CMP_MASKED_EQ';
}

export interface SyscallRule {
  readonly names: readonly string[];
  readonly action: 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO';
  readonly errnoRet?: number;
  readonly args?: readonly SyscallArgument[];
}

/** The `linux.seccomp` part of an OCI configuration (runtime-spec, config-linux.md). */
export interface SeccompProfile {
  readonly defaultAction: 'SCMP_ACT_ERRNO';
  readonly defaultErrnoRet: number;
  readonly architectures: readonly string[];
  readonly syscalls: readonly SyscallRule[];
}

export const errno = { EPERM: 1, EINVAL: 22, ENOSYS: 38, EPROTONOSUPPORT: 93, EAFNOSUPPORT: 97 } as const;
const architectures: Readonly<Record<string, string>> = { x64: 'SCMP_ARCH_X86_64', arm64: 'SCMP_ARCH_AARCH64' };

// CLONE_NEWNS | NEWCGROUP | NEWUTS | NEWIPC | NEWUSER | NEWPID | NEWNET (include/uapi/linux/sched.h).
const namespaceFlags = [0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000];
const anyNamespaceFlag = 0x7e020000;
const family = { unix: 1, inet: 2, inet6: 10, netlink: 16 } as const;
// Routes and addresses (getifaddrs), socket lists (ss), device events (libudev subscribes and gets none).
const netlinkProtocols = [0, 4, 15];
const multipathTcp = 262;
// personality(2): Linux, Linux with UNAME26, query.
const personalities = [0x0, 0x20000, 0xffffffff];

const equals = (index: number, value: number): SyscallArgument => ({ index, value, op: 'SCMP_CMP_EQ' });
const masked = (index: number, mask: number, value: number): SyscallArgument => ({
  index,
  value: mask,
  valueTwo: value,
  op: 'SCMP_CMP_MASKED_EQ',
});
/**
 * "Any `int` but `value`": one condition for each bit, of which at least one holds. SCMP_CMP_NE compares all 64 bits of an
 * argument. The kernel reads only the lower 32, so a program could pass by setting an upper bit.
 */
const differs = (index: number, value: number): SyscallArgument[] =>
  [...Array(32).keys()].map((bit) => masked(index, 2 ** bit, Math.floor(value / 2 ** bit) % 2 === 0 ? 2 ** bit : 0));
const isInt = (index: number, value: number): SyscallArgument => masked(index, 0xffff_ffff, value);
const allow = (names: readonly string[], ...args: SyscallArgument[]): SyscallRule => ({
  names,
  action: 'SCMP_ACT_ALLOW',
  args,
});
const refuse = (names: readonly string[], errnoRet: number, ...args: SyscallArgument[]): SyscallRule => ({
  names,
  action: 'SCMP_ACT_ERRNO',
  errnoRet,
  args,
});

/**
 * Internet, Unix and a few netlink protocols; every other family returns the same as on a kernel without it. So does
 * multipath TCP, which Go's servers prefer: CRIU cannot save it, and programs fall back to TCP.
 */
function socketRules(): SyscallRule[] {
  const internet = [family.inet, family.inet6];
  const known = new Set<number>(Object.values(family));
  const others = [...Array(family.netlink).keys()].filter((value) => !known.has(value));
  const largestProtocol = Math.max(...netlinkProtocols);
  const otherProtocols = [...Array(largestProtocol).keys()].filter((value) => !netlinkProtocols.includes(value));
  const netlink = equals(0, family.netlink);
  return [
    allow(['socket'], equals(0, family.unix)),
    ...internet.flatMap((value) => differs(2, multipathTcp).map((other) => allow(['socket'], equals(0, value), other))),
    ...internet.map((value) => refuse(['socket'], errno.EPROTONOSUPPORT, equals(0, value), isInt(2, multipathTcp))),
    ...netlinkProtocols.map((value) => allow(['socket'], netlink, equals(2, value))),
    // libaudit, and with it sudo and su, takes this error for a kernel without audit.
    ...otherProtocols.map((value) => refuse(['socket'], errno.EPROTONOSUPPORT, netlink, equals(2, value))),
    refuse(['socket'], errno.EPROTONOSUPPORT, netlink, { index: 2, value: largestProtocol, op: 'SCMP_CMP_GT' }),
    ...others.map((value) => refuse(['socket'], errno.EAFNOSUPPORT, equals(0, value))),
    refuse(['socket'], errno.EAFNOSUPPORT, { index: 0, value: family.netlink, op: 'SCMP_CMP_GT' }),
    allow(['socketpair'], equals(0, family.unix)),
  ];
}

/** Calls that offer memory to KSM by one value of an argument: asm-generic/mman-common.h and linux/prctl.h. */
export const mergingCalls = [
  { name: 'madvise', index: 2, value: 12 },
  { name: 'process_madvise', index: 3, value: 12 },
  { name: 'prctl', index: 0, value: 67 },
] as const;

/**
 * If KSM runs on the host, as it often does beside virtual machines, it merges equal pages that programs of different
 * tenants offer. The time of a write to such a page tells what another tenant has in memory. The error is that of a
 * kernel without KSM.
 */
function mergingRules(): SyscallRule[] {
  return mergingCalls.flatMap(({ name, index, value }) => [
    ...differs(index, value).map((other) => allow([name], other)),
    refuse([name], errno.EINVAL, isInt(index, value)),
  ]);
}

/**
 * The system calls of a sandbox: a list of allowed calls, ENOSYS for all others (io_uring, keyctl, userfaultfd, clone3,
 * new calls). It allows no new namespaces, not through clone either, and no offers of memory to KSM. clone3 passes its
 * flags in memory, where the filter cannot see them, so programs must fall back.
 */
export function createSeccompProfile(): SeccompProfile {
  const native = architectures[process.arch];
  return {
    defaultAction: 'SCMP_ACT_ERRNO',
    defaultErrnoRet: errno.ENOSYS,
    architectures: native === undefined ? [] : [native],
    syscalls: [
      allow(allowedSyscalls),
      allow(['clone'], masked(0, anyNamespaceFlag, 0)),
      ...namespaceFlags.map((flag) => refuse(['clone'], errno.EPERM, masked(0, flag, flag))),
      ...personalities.map((value) => allow(['personality'], equals(0, value))),
      ...socketRules(),
      ...mergingRules(),
      refuse(refusedSyscalls, errno.EPERM),
    ],
  };
}
