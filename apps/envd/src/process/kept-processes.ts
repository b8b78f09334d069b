import type { ManagedProcess, ProcessOrigin } from './managed-process.ts';

/** Ended processes that are kept, by origin. Many short commands of an agent do not displace a client's unread exits. */
const maxKept: Readonly<Record<ProcessOrigin, number>> = { e2b: 256, soulbox: 1024 };

/** Ended processes whose exit and log can still be read. */
export interface KeptProcesses {
  /** Keeps it for the time in its specification, unless too many end after it. */
  add(process: ManagedProcess): void;
  all(): readonly ManagedProcess[];
  find(id: string): ManagedProcess | undefined;
  /** Removes it and its log, `afterMs` from now (0 by default) unless its time ends earlier. */
  forget(process: ManagedProcess, afterMs?: number): void;
}

export function createKeptProcesses(): KeptProcesses {
  /** With the timers that end the time: the first to fire counts. */
  const kept = new Map<ManagedProcess, NodeJS.Timeout[]>();
  const byId = new Map<string, ManagedProcess>();
  const counts: Record<ProcessOrigin, number> = { e2b: 0, soulbox: 0 };

  function remove(process: ManagedProcess): void {
    for (const timer of kept.get(process) ?? []) clearTimeout(timer);
    if (!kept.delete(process)) return;
    byId.delete(process.id);
    counts[process.spec.origin] -= 1;
    process.log.release();
  }

  const removeLater = (process: ManagedProcess, afterMs: number) => setTimeout(() => remove(process), afterMs);

  return {
    add(process) {
      const { origin, keepMs } = process.spec;
      kept.set(process, [removeLater(process, keepMs)]);
      byId.set(process.id, process);
      counts[origin] += 1;
      if (counts[origin] <= maxKept[origin]) return;
      const oldest = [...kept.keys()].find((one) => one.spec.origin === origin);
      if (oldest !== undefined) remove(oldest);
    },
    all: () => [...kept.keys()],
    find: (id) => byId.get(id),
    forget(process, afterMs = 0) {
      if (afterMs === 0) remove(process);
      const timers = kept.get(process);
      // Its own time, and that of the last call.
      if (timers !== undefined) clearTimeout(timers[1]);
      if (timers !== undefined) timers[1] = removeLater(process, afterMs);
    },
  };
}
