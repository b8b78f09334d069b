import type { Clock } from '@soulbox/base';

/** Counters at one moment. They grow while a sandbox lives. */
export interface Usage {
  readonly cpuUsedSeconds: number;
  /** Bytes read and written, on the disk and in the network, all together. */
  readonly transferredBytes: number;
  /** CPU use of the driver itself. A sandbox that uses less counts as idle. */
  readonly idleCpus: number;
}

/** Measures how long each sandbox has been idle: no open request or stream, no CPU use, nothing read or written. */
export interface Activity {
  /** A request or stream is open until it is disposed. */
  enter(sandboxId: string): Disposable;
  /** Compares with the previous reading. Called about once a second. The first reading counts as activity. */
  observe(sandboxId: string, usage: Usage): void;
  /** Milliseconds since the last activity of the sandbox. 0 for a sandbox that was never observed. */
  idleMs(sandboxId: string): number;
  /** Forgets a sandbox that ends, or whose counters start from 0 again. */
  forget(sandboxId: string): void;
}

interface Entry {
  open: number;
  activeAtMs: number;
  last: { readonly usage: Usage; readonly atMs: number } | undefined;
}

export function createActivity(clock: Clock): Activity {
  const entries = new Map<string, Entry>();
  const entryOf = (sandboxId: string): Entry => {
    const entry = entries.get(sandboxId) ?? { open: 0, activeAtMs: clock.now(), last: undefined };
    entries.set(sandboxId, entry);
    return entry;
  };
  return {
    enter(sandboxId) {
      const entry = entryOf(sandboxId);
      entry.open++;
      let isOpen = true;
      return {
        [Symbol.dispose]() {
          if (!isOpen) return;
          isOpen = false;
          entry.open--;
          entry.activeAtMs = clock.now();
        },
      };
    },
    observe(sandboxId, usage) {
      const entry = entryOf(sandboxId);
      const atMs = clock.now();
      if (entry.open > 0 || entry.last === undefined || isActive(entry.last, usage, atMs)) entry.activeAtMs = atMs;
      entry.last = { usage, atMs };
    },
    idleMs(sandboxId) {
      const entry = entries.get(sandboxId);
      return entry === undefined || entry.open > 0 ? 0 : clock.now() - entry.activeAtMs;
    },
    forget(sandboxId) {
      const entry = entries.get(sandboxId);
      if (entry === undefined) return;
      // Requests that are still open keep a reference to their entry.
      if (entry.open === 0) entries.delete(sandboxId);
      else entry.last = undefined;
    },
  };
}

function isActive(last: NonNullable<Entry['last']>, usage: Usage, atMs: number): boolean {
  const seconds = (atMs - last.atMs) / 1000;
  const cpus = seconds <= 0 ? 0 : (usage.cpuUsedSeconds - last.usage.cpuUsedSeconds) / seconds;
  return cpus >= usage.idleCpus || usage.transferredBytes !== last.usage.transferredBytes;
}
