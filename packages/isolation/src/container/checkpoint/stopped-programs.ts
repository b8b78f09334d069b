import { readFile } from 'node:fs/promises';
import { isNodeError } from '@soulbox/base';
import type { Cgroups } from '../../cgroup/cgroups.ts';
import { listPids } from '../../cgroup/tree.ts';

/**
 * The kernel function in which a program stopped by a signal waits (kernel: kernel/signal.c). While it is frozen, its
 * state in /proc does not show that any more.
 */
const stoppedIn = 'do_signal_stop';

/**
 * Changes programs of a frozen group that a signal has stopped (SIGSTOP, Ctrl-Z): they will stop as soon as they
 * continue. With control groups v1, CRIU waits for each to move from its stop into CRIU's stop, which a frozen program
 * does not do: CRIU would wait for ever. The signal is saved with all other pending signals, and stops the program
 * again after a restore or a thaw.
 */
export async function letStopLater(cgroups: Cgroups, group: string): Promise<void> {
  if (cgroups.version !== 1) return;
  for (const pid of await listPids(cgroups.freezerOf(group))) {
    const place = await readFile(`/proc/${pid}/wchan`, 'latin1').catch(() => '');
    if (place !== stoppedIn) continue;
    // The second signal removes the first one, and thus the program's reaction to it.
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
