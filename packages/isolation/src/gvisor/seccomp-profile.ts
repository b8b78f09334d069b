import type { SyscallArgument, SyscallRule } from '../oci/seccomp-profile.ts';
import { createSeccompProfile as createContainerProfile, errno, mergingCalls } from '../oci/seccomp-profile.ts';

/** The parts of `linux.seccomp` in an OCI configuration that runsc applies. */
interface SeccompProfile {
  readonly defaultAction: Action;
  readonly architectures: readonly string[];
  readonly syscalls: readonly Rule[];
}

interface Rule {
  readonly names: readonly string[];
  readonly action: Action;
  readonly args?: readonly SyscallArgument[];
}

/**
 * EPERM is the only error that runsc knows (gVisor: runsc/specutils/seccomp). A call with the action "trace" but
 * without a tracer returns ENOSYS (seccomp(2)). A program that traces its own children can let gVisor answer the call;
 * that is no hole, because the host does not see the call.
 */
type Action = 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO' | 'SCMP_ACT_TRACE';
const unknownCall: Action = 'SCMP_ACT_TRACE';

/** Calls that have rules of their own here. */
const merging = mergingCalls.map(({ name }) => name);
const own = new Set<string>(['socket', 'kill', 'close_range', ...merging]);
const initPid = 1;
/** What programs give to `close_range` for "all from this one on". */
const lastDescriptor = 0xffff_ffff;
const toInit: SyscallArgument = { index: 0, value: initPid, op: 'SCMP_CMP_EQ' };

/**
 * The container's list, applied by gVisor's kernel to reduce its own attack surface. Some rules differ. Sockets need no
 * rules, because gVisor has only the allowed families. Offers of memory to KSM need none, because they do not reach the
 * host. Signals to init are refused: a signal that init does not handle ends it in gVisor, where Linux ignores the signal. A `close_range` of all descriptors is unknown: gVisor answers EINVAL
 * (release 20240729), with which GLib starts no program. With ENOSYS, GLib and the C library close them one by one.
 */
export function createSeccompProfile(): SeccompProfile {
  const { architectures, syscalls } = createContainerProfile();
  const others = syscalls.map((rule) => ({ ...rule, names: rule.names.filter((name) => !own.has(name)) }));
  return {
    defaultAction: unknownCall,
    architectures,
    syscalls: [
      ...others.filter(({ names }) => names.length > 0).map(ruleForGvisor),
      ...['socket', ...merging].map((name) => allow(name)),
      allow('close_range', { index: 1, value: lastDescriptor, op: 'SCMP_CMP_NE' }),
      allow('kill', { index: 0, value: initPid, op: 'SCMP_CMP_NE' }),
      // Signal 0 checks whether it exists.
      allow('kill', toInit, { index: 1, value: 0, op: 'SCMP_CMP_EQ' }),
      { names: ['kill'], action: 'SCMP_ACT_ERRNO', args: [toInit, { index: 1, value: 0, op: 'SCMP_CMP_GT' }] },
    ],
  };
}

function allow(name: string, ...args: SyscallArgument[]): Rule {
  return { names: [name], action: 'SCMP_ACT_ALLOW', args };
}

function ruleForGvisor({ names, action, errnoRet, args }: SyscallRule): Rule {
  const given = args === undefined ? {} : { args };
  if (action === 'SCMP_ACT_ALLOW') return { names, action, ...given };
  return { names, action: errnoRet === errno.EPERM ? 'SCMP_ACT_ERRNO' : unknownCall, ...given };
}
