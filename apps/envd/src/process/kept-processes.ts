import type { ManagedProcess, ProcessOrigin } from './managed-process.ts';

/** Ended processes that are kept, by origin. Many short commands of an agent do not displace a client's unread exits. */
const maxKept: Readonly<Record<ProcessOrigin, number>> = { e2b: 256, soulbox: 1024 };

/** Ended processes whose exit and log can still be read. */
export interface KeptProcesses {
  /** Keeps it for the time in its specification, unless too many end after it. */
  add(process: ManagedProcess): void;
  all(): readonly ManagedProcess[];
  find(id: string): ManagedProcess | undefined;
  /** Removes it and its log. */
  forget(process: ManagedProcess): void;
}

export function createKeptProcesses(): KeptProcesses {
  /** With the timer that ends the time. */
  const kept = new Map<ManagedProcess, NodeJS.Timeout>();
  const byId = new Map<string, ManagedProcess>();
  const counts: Record<ProcessOrigin, number> = { e2b: 0, soulbox: 0 };

  function forget(process: ManagedProcess): void {
    clearTimeout(kept.get(process));
    if (!kept.delete(process)) return;
    byId.delete(process.id);
    counts[process.spec.origin] -= 1;
    process.log.release();
  }

  return {
    add(process) {
      const { origin, keepMs } = process.spec;
      kept.set(
        process,
        setTimeout(() => forget(process), keepMs),
      );
      byId.set(process.id, process);
      counts[origin] += 1;
      if (counts[origin] <= maxKept[origin]) return;
      const oldest = [...kept.keys()].find((one) => one.spec.origin === origin);
      if (oldest !== undefined) forget(oldest);
    },
    all: () => [...kept.keys()],
    find: (id) => byId.get(id),
    forget,
  };
}
