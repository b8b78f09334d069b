import { describe, expect, test } from 'vitest';
import { answerOf } from '../testing/answer-of.ts';
import { createSeccompProfile } from './seccomp-profile.ts';
import type { SyscallArgument } from './seccomp-profile.ts';
import { allowedSyscalls, refusedSyscalls } from './seccomp-syscalls.ts';

const profile = createSeccompProfile();

test('no call is on both lists or twice on one', () => {
  const all = [...allowedSyscalls, ...refusedSyscalls];
  expect(all.filter((name, index) => all.indexOf(name) !== index)).toEqual([]);
});

test.each([
  ...['io_uring_setup', 'keyctl', 'add_key', 'userfaultfd', 'clone3', 'memfd_secret', 'clone', 'socket', 'mount'],
  ...['pkey_alloc', 'pkey_free', 'pkey_mprotect'],
])('%s is not allowed without a condition', (name) => {
  expect(allowedSyscalls).not.toContain(name);
});

test('a call on no list returns the same as on a kernel without it', () => {
  expect(profile).toMatchObject({ defaultAction: 'SCMP_ACT_ERRNO', defaultErrnoRet: 38 });
});

/** Of the rules that together mean "any value but one". */
const isFirstBit = (argument?: SyscallArgument): boolean =>
  argument?.op === 'SCMP_CMP_MASKED_EQ' && argument.value === 1;

test('every socket family up to netlink has exactly one rule, and all above share one more', () => {
  const rules = profile.syscalls.filter(({ names }) => names.includes('socket'));
  const families = new Map<number, number>();
  for (const { args = [] } of rules)
    if (args[0]?.op === 'SCMP_CMP_EQ' && (args.length === 1 || isFirstBit(args[1])))
      families.set(args[0].value, (families.get(args[0].value) ?? 0) + 1);
  expect([...families.keys()].sort((a, b) => a - b)).toEqual([...Array(16).keys()]);
  expect(new Set(families.values())).toEqual(new Set([1]));
  expect(rules.filter(({ args }) => args?.[0]?.op === 'SCMP_CMP_GT' && args.length === 1)).toHaveLength(1);
});

test('clone is refused each flag that creates a namespace, and their sum is what the allowed form excludes', () => {
  const rules = profile.syscalls.filter(({ names }) => names.includes('clone'));
  const refused = rules.filter(({ action }) => action === 'SCMP_ACT_ERRNO').map(({ args }) => args?.[0]?.value ?? 0);
  const allowed = rules.filter(({ action }) => action === 'SCMP_ACT_ALLOW').map(({ args }) => args?.[0]);
  expect(allowed).toEqual([
    { index: 0, value: refused.reduce((a, b) => a + b), valueTwo: 0, op: 'SCMP_CMP_MASKED_EQ' },
  ]);
});

const allowed = 'SCMP_ACT_ALLOW';
const notPermitted = 'SCMP_ACT_ERRNO 1';
const unknown = 'SCMP_ACT_ERRNO 38';
const noSuchFamily = 'SCMP_ACT_ERRNO 97';
const noSuchProtocol = 'SCMP_ACT_ERRNO 93';
const split = (text: string): string[] => text.trim().split(/\s+/);

// Every call of x86-64 and arm64 (Linux 6.12) that is not allowed, one by one. This detects a name that moves to the
// other list or to none, even if a capability or setting of the host would also refuse it.
describe('each call that a sandbox may not make', () => {
  const mounts = `fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_by_handle_at open_tree pivot_root
    quotactl quotactl_fd swapoff swapon umount umount2`;
  const namespaces = 'setdomainname sethostname setns unshare';
  const kernel = `acct bpf clock_settime delete_module fanotify_init fanotify_mark finit_module init_module ioperm iopl
    kcmp kexec_file_load kexec_load lookup_dcookie perf_event_open reboot settimeofday syslog vhangup`;
  const otherNodes = 'get_mempolicy mbind migrate_pages move_pages set_mempolicy';

  test.each(split(`${mounts} ${namespaces} ${kernel} ${otherNodes}`))('%s is not permitted', (name) => {
    expect(answerOf(profile, name)).toBe(notPermitted);
  });

  const keys = 'add_key keyctl request_key';
  const hiddenFlags = 'clone3 io_uring_enter io_uring_register io_uring_setup memfd_secret userfaultfd';
  const listings = 'listmount lsm_get_self_attr lsm_list_modules lsm_set_self_attr statmount sysfs ustat';
  const old = `_sysctl afs_syscall create_module get_kernel_syms getpmsg modify_ldt nfsservctl putpmsg query_module security
    set_mempolicy_home_node tuxcall uretprobe uselib vserver`;

  test.each(split(`${keys} ${hiddenFlags} ${listings} ${old} a_call_of_tomorrow`))('%s is unknown', (name) => {
    expect(answerOf(profile, name)).toBe(unknown);
  });
});

describe('calls that depend on their arguments', () => {
  // include/uapi/linux/sched.h.
  test.each([
    ['NEWNS', 0x00020000],
    ['NEWCGROUP', 0x02000000],
    ['NEWUTS', 0x04000000],
    ['NEWIPC', 0x08000000],
    ['NEWUSER', 0x10000000],
    ['NEWPID', 0x20000000],
    ['NEWNET', 0x40000000],
  ])('clone with CLONE_%s is not permitted, alone and with other flags', (_, flag) => {
    const asFork = 17;
    expect(answerOf(profile, 'clone', flag)).toBe(notPermitted);
    expect(answerOf(profile, 'clone', flag | asFork)).toBe(notPermitted);
  });

  test('clone creates processes and threads', () => {
    const asThread = 0x3d0f00;
    for (const flags of [17, asThread]) expect(answerOf(profile, 'clone', flags)).toBe(allowed);
  });

  test('personality allows the values of current programs, and not a 32-bit or non-randomized layout', () => {
    for (const value of [0, 0x20000, 0xffffffff]) expect(answerOf(profile, 'personality', value)).toBe(allowed);
    for (const value of [0x0040000, 0x0008, 0x0400000, 1])
      expect(answerOf(profile, 'personality', value)).toBe(unknown);
  });

  test.each([
    ['unix', 1],
    ['inet', 2],
    ['inet6', 10],
  ])('a socket of the family %s is allowed', (_, family) => {
    expect(answerOf(profile, 'socket', family, 1, 0)).toBe(allowed);
  });

  // include/linux/socket.h: the families below netlink, packet, and some with a history of vulnerabilities.
  test.each([0, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 17, 21, 29, 30, 31, 38, 40, 43, 44, 1000])(
    'the family %i does not exist',
    (family) => {
      expect(answerOf(profile, 'socket', family, 1, 0)).toBe(noSuchFamily);
    },
  );

  test('multipath TCP does not exist', () => {
    for (const family of [2, 10])
      for (const protocol of [262, 2 ** 32 + 262])
        expect(answerOf(profile, 'socket', family, 1, protocol)).toBe(noSuchProtocol);
  });

  test('netlink is allowed for routes, sockets and devices, and for nothing else', () => {
    for (let protocol = 0; protocol < 32; protocol += 1)
      expect(answerOf(profile, 'socket', 16, 3, protocol), String(protocol)).toBe(
        [0, 4, 15].includes(protocol) ? allowed : noSuchProtocol,
      );
  });

  // MADV_MERGEABLE and PR_SET_MEMORY_MERGE. The kernel ignores the upper half of an int.
  test.each([
    ['madvise', [0, 4096], 12],
    ['process_madvise', [3, 0, 1], 12],
    ['prctl', [], 67],
  ])('%s does not offer memory for merging, and does everything else', (name, before, value) => {
    for (const upper of [0, 1, 2 ** 20]) {
      expect(answerOf(profile, name, ...before, upper * 2 ** 32 + value)).toBe('SCMP_ACT_ERRNO 22');
      for (const other of [0, 4, 8, 13, 14, 15, 38, 66, 68, 100, 2 ** 31 + value, 2 ** 32 - 1])
        expect(answerOf(profile, name, ...before, upper * 2 ** 32 + other), String(other)).toBe(allowed);
    }
  });

  test('a socket pair is always of family Unix', () => {
    expect(answerOf(profile, 'socketpair', 1)).toBe(allowed);
    for (const family of [2, 10, 16, 30, 40]) expect(answerOf(profile, 'socketpair', family)).toBe(unknown);
  });
});

test('the profile is for the current architecture only, so that no 32-bit call bypasses it', () => {
  expect(profile.architectures).toEqual([process.arch === 'x64' ? 'SCMP_ARCH_X86_64' : 'SCMP_ARCH_AARCH64']);
});

// One call of each kind: an empty list would make every sandbox fail.
test.each(['read', 'epoll_wait', 'execve', 'futex', 'mmap', 'clock_gettime', 'connect', 'shmget'])(
  '%s is allowed',
  (name) => {
    expect(answerOf(profile, name)).toBe(allowed);
  },
);
