import type { ExitStatus } from './exit-status.ts';
import { exitStatusFromWait } from './exit-status.ts';
import { trySyscall } from './libc.ts';
import { syscallNumbers as nr } from './syscall-numbers.ts';

/** Reaps every ended child: those of envd, and the orphans that PID 1 inherits. */
export interface Reaper {
  /** Call this in the same tick as the spawn. `listener` is called once. */
  watch(pid: number, listener: (status: ExitStatus) => void): void;
}

const waitNoHang = 1;

export function startReaper(): Reaper {
  const listeners = new Map<number, (status: ExitStatus) => void>();
  const collect = (): void => {
    const status = new Int32Array(1);
    for (;;) {
      const pid = trySyscall(nr.wait4, -1, status, waitNoHang, 0);
      if (pid <= 0) return;
      const listener = listeners.get(pid);
      listeners.delete(pid);
      listener?.(exitStatusFromWait(status[0] ?? 0));
    }
  };
  // The runtime itself starts no process, so no other code waits for one.
  process.on('SIGCHLD', collect);
  // Reaps orphans that ended before the handler was installed.
  collect();
  return { watch: (pid, listener) => void listeners.set(pid, listener) };
}
