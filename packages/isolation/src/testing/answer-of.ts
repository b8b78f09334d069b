import type { SyscallArgument } from '../oci/seccomp-profile.ts';

interface Rule {
  readonly names: readonly string[];
  readonly action: string;
  readonly errnoRet?: number;
  readonly args?: readonly SyscallArgument[];
}

interface Profile {
  readonly defaultAction: string;
  readonly defaultErrnoRet?: number;
  readonly syscalls: readonly Rule[];
}

/**
 * The result that a profile gives for a call, as `ACTION` or `ACTION errno`. Throws if two rules with different results
 * match: which of them libseccomp prefers is not defined.
 */
export function answerOf(profile: Profile, name: string, ...args: number[]): string {
  const fitting = profile.syscalls.filter(
    (rule) => rule.names.includes(name) && (rule.args ?? []).every((condition) => holds(condition, args)),
  );
  const answers = new Set(fitting.map(({ action, errnoRet }) => shown(action, errnoRet)));
  if (answers.size > 1) throw new Error(`${name}(${args.join(', ')}) has the answers ${[...answers].join(' and ')}`);
  return [...answers][0] ?? shown(profile.defaultAction, profile.defaultErrnoRet);
}

function shown(action: string, errnoRet: number | undefined): string {
  return errnoRet === undefined ? action : `${action} ${errnoRet}`;
}

/** Numbers above 31 bits are compared as a whole, like the kernel's 64-bit arguments. */
function holds({ index, value, valueTwo = 0, op }: SyscallArgument, args: readonly number[]): boolean {
  const given = BigInt(args[index] ?? 0);
  switch (op) {
    case 'SCMP_CMP_EQ':
      return given === BigInt(value);
    case 'SCMP_CMP_NE':
      return given !== BigInt(value);
    case 'SCMP_CMP_GT':
      return given > BigInt(value);
    case 'SCMP_CMP_MASKED_EQ':
      return (given & BigInt(value)) === BigInt(valueTwo);
  }
}
