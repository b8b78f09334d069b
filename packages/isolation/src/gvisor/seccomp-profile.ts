import type { SyscallArgument, SyscallRule } from '../oci/seccomp-profile.ts';
import { createSeccompProfile as createContainerProfile, errno } from '../oci/seccomp-profile.ts';

/** The `linux.seccomp` part of an OCI configuration, as far as runsc obeys it. */
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
 * runsc knows no error but EPERM (gVisor: runsc/specutils/seccomp). A call that is to be traced and has no tracer gives ENOSYS
 * (seccomp(2)); who traces its own programs can let gVisor answer it, which is no hole: the host is not asked.
 */
type Action = 'SCMP_ACT_ALLOW' | 'SCMP_ACT_ERRNO' | 'SCMP_ACT_TRACE';
const unknownCall: Action = 'SCMP_ACT_TRACE';

/** Calls that have rules of their own here. */
const own = new Set(['socket', 'kill']);
const initPid = 1;
const toInit: SyscallArgument = { index: 0, value: initPid, op: 'SCMP_CMP_EQ' };

/**
 * The container's list, obeyed by gVisor's kernel: what is left of its own surface. Two rules differ. Sockets need none, as
 * gVisor has no families but those that are allowed. And signals to init are refused: those that init does not handle end
 * it in gVisor, where Linux ignores them.
 */
export function createSeccompProfile(): SeccompProfile {
  const { architectures, syscalls } = createContainerProfile();
  const others = syscalls.map((rule) => ({ ...rule, names: rule.names.filter((name) => !own.has(name)) }));
  return {
    defaultAction: unknownCall,
    architectures,
    syscalls: [
      ...others.filter(({ names }) => names.length > 0).map(ruleForGvisor),
      allow('socket'),
      allow('kill', { index: 0, value: initPid, op: 'SCMP_CMP_NE' }),
      // Signal 0 asks whether it is there.
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
