import { readdirSync, readFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';

/** V8 names its helper threads like this. */
const helperName = 'V8Worker';
/** Added to the niceness of the process. A helper then gets a quarter of a CPU that another thread also wants. */
const lessUrgent = 5;
const maxNiceness = 19;

/**
 * Lowers the priority of V8's helper threads, which compile and collect garbage. On a host with few CPUs a thread that
 * a request wakes would otherwise wait for up to 2 ms until one of them has used its time slice.
 */
export function lowerHelperThreads(): void {
  const niceness = Math.min(maxNiceness, getPriority() + lessUrgent);
  for (const name of readdirSync('/proc/self/task'))
    if (nameOf(name) === helperName) setPriority(Number(name), niceness);
}

/** Undefined if the thread has ended meanwhile; threads of V8 last as long as the process. */
function nameOf(thread: string): string | undefined {
  try {
    return readFileSync(`/proc/self/task/${thread}/comm`, 'latin1').trim();
  } catch {
    return undefined;
  }
}
