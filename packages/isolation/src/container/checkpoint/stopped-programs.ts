import { readFile } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';
import type { Cgroups } from '../../cgroup/cgroups.ts';
import { listPids } from '../../cgroup/tree.ts';

/** Where a program waits that a signal has stopped (kernel: kernel/signal.c); frozen, its state in /proc does not say so any more. */
const stoppedIn = 'do_signal_stop';

/**
 * Makes programs of a frozen group that a signal has stopped (SIGSTOP, Ctrl-Z) ones that will stop as soon as they go on. With
 * control groups v1 CRIU waits for each to move from its stop into CRIU's, which a frozen one does not: it would wait for ever. The
 * signal is saved with all else that is pending, and stops the program again where it is restored or thawed.
 */
export async function letStopLater(cgroups: Cgroups, group: string): Promise<void> {
  if (cgroups.version !== 1) return;
  for (const pid of await listPids(cgroups.freezerOf(group))) {
    const place = await readFile(`/proc/${pid}/wchan`, 'latin1').catch(() => '');
    if (place !== stoppedIn) continue;
    // The second takes the first away again, with what a program does about it.
    for (const signal of ['SIGCONT', 'SIGSTOP'] as const) signalIfThere(pid, signal);
  }
}

function signalIfThere(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!isNodeError(error) || error.code !== 'ESRCH') throw error;
  }
}
