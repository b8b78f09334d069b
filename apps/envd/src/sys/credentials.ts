import { syscall, trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Who a process runs as. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

const prSetDumpable = 4;

/**
 * Runs `action`, which must not yield, with the credentials of another user. On Linux they belong to the thread: only
 * raw system calls change one thread alone, and envd's pool threads stay root. The saved ids stay 0; they are
 * the way back, and keep the user's processes from tracing envd meanwhile.
 */
export function runAs<T>(user: Credentials, action: () => T): T {
  const ownGroups = readGroups();
  setGroups(user.groups);
  try {
    syscall('setresgid', nr.setresgid, user.gid, user.gid, 0);
    syscall('setresuid', nr.setresuid, user.uid, user.uid, 0);
    return action();
  } finally {
    restore(ownGroups);
  }
}

function restore(groups: readonly number[]): void {
  const results = [
    trySyscall(nr.setresuid, 0, 0, 0),
    trySyscall(nr.setresgid, 0, 0, 0),
    trySyscall(nr.setgroups, groups.length, groups.length === 0 ? 0 : Uint32Array.from(groups)),
    // The kernel cleared it with the change of ids. A checkpoint of a sandbox that was restored once needs it: CRIU looks
    // at init from inside the user namespace, where only dumpable processes that came by a restore can be looked at.
    trySyscall(nr.prctl, prSetDumpable, 1, 0, 0, 0),
  ];
  // The kernel never refuses these; going on as somebody else would be worse than the end.
  if (results.some((result) => result !== 0)) process.abort();
}

function setGroups(groups: readonly number[]): void {
  syscall('setgroups', nr.setgroups, groups.length, groups.length === 0 ? 0 : Uint32Array.from(groups));
}

function readGroups(): number[] {
  const buffer = new Uint32Array(1024);
  const count = syscall('getgroups', nr.getgroups, buffer.length, buffer);
  return [...buffer.subarray(0, count)];
}
