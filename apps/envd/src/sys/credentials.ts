import { syscall, trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** The identity of a process. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups. */
  readonly groups: readonly number[];
}

const prSetDumpable = 4;

/**
 * Runs `action`, which must not yield, with the credentials of another user. On Linux credentials belong to a thread.
 * Only raw system calls change a single thread, so envd's pool threads stay root. The saved ids stay 0: they allow the
 * switch back, and prevent the user's processes from tracing envd meanwhile.
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
    // The change of ids has cleared this flag. A checkpoint of a sandbox that was already restored once needs it: CRIU
    // inspects init from inside the user namespace, where only dumpable processes of a restore can be inspected.
    trySyscall(nr.prctl, prSetDumpable, 1, 0, 0, 0),
  ];
  // The kernel never refuses these calls. Continuing as another user would be worse than ending.
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
