import { readFileSync } from 'node:fs';

/**
 * Identifies a process. A later process with the same pid differs, because the kernel's start time is part of the
 * identity.
 */
export interface ProcessIdentity {
  readonly pid: number;
  /** Clock ticks from boot to the start of the process: field 22 of /proc/PID/stat, proc_pid_stat(5). */
  readonly startTicks: number;
}

type Read = (path: string) => string;
const readOnce: Read = (path) => readFileSync(path, 'utf8');

/**
 * Returns the process that has this pid now. Undefined if there is none, or only a zombie that waits to be reaped.
 * `read`: how its file is read, for a caller that keeps it open.
 */
export function findProcess(pid: number, read = readOnce): ProcessIdentity | undefined {
  let stat: string;
  try {
    stat = read(`/proc/${String(pid)}/stat`);
  } catch {
    return undefined;
  }
  // The program's name is in parentheses and may contain spaces and parentheses itself: count from the last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return { pid, startTicks: Number(fields[19]) };
}

/** Whether exactly this process still runs. */
export function isRunning(identity: ProcessIdentity, read?: Read): boolean {
  return findProcess(identity.pid, read)?.startTicks === identity.startTicks;
}
