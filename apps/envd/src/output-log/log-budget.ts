import { statfsSync } from 'node:fs';

/** What all logs of a sandbox may use together. */
export interface LogBudget {
  /** Called when a log's memory changes. Over the limit, logs that were not written to for longest spill to the disk. */
  useMemory(log: Spillable, changeBytes: number): void;
  /** Whether logs use so much memory that processes should wait for the disk. */
  isShort(): boolean;
  /** Takes room on the disk, if necessary that of ended processes, oldest first. False: there is no room. */
  takeDisk(changeBytes: number): boolean;
  giveDisk(bytes: number): void;
  /** From now on `drop` may be called, when other logs need the log's room on the disk or in memory. */
  mayDrop(log: Spillable, drop: () => void): void;
  forget(log: Spillable): void;
}

export interface Spillable {
  /** Writes all that is in memory to the disk, and releases it. */
  spill(): void;
}

export interface LogLimits {
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** The memory is what envd can spare in a sandbox of 256 MiB. */
export const usualLogLimits: LogLimits = { memoryBytes: 16 * 1024 * 1024, diskBytes: 1024 * 1024 * 1024 };
/** Of the whole disk: logs must not fill a small one. */
const diskShare = 1 / 16;

/** `directory`: on the disk of the logs. */
export function limitsOnDisk(directory: string): LogLimits {
  const { blocks, bsize } = statfsSync(directory);
  return { ...usualLogLimits, diskBytes: Math.min(usualLogLimits.diskBytes, Math.floor(blocks * bsize * diskShare)) };
}

export function createLogBudget(limits: LogLimits = usualLogLimits): LogBudget {
  /** From the one that was used least recently. */
  const memoryOf = new Map<Spillable, number>();
  const droppable = new Map<Spillable, () => void>();
  let memory = 0;
  let disk = 0;
  return {
    useMemory(log, changeBytes) {
      const used = (memoryOf.get(log) ?? 0) + changeBytes;
      memory += changeBytes;
      if (changeBytes > 0) memoryOf.delete(log);
      memoryOf.set(log, used);
      if (changeBytes <= 0 || memory <= limits.memoryBytes) return;
      for (const [ended, drop] of droppable) {
        if (memory <= 2 * limits.memoryBytes) break;
        if ((memoryOf.get(ended) ?? 0) === 0) continue;
        droppable.delete(ended);
        drop();
      }
      let excess = memory - limits.memoryBytes;
      for (const [other, bytes] of memoryOf) {
        if (excess <= 0) break;
        if (bytes === 0) continue;
        excess -= bytes;
        other.spill();
      }
    },
    isShort: () => memory > 2 * limits.memoryBytes,
    takeDisk(changeBytes) {
      for (const [log, drop] of droppable) {
        if (disk + changeBytes <= limits.diskBytes) break;
        droppable.delete(log);
        drop();
      }
      if (disk + changeBytes > limits.diskBytes) return false;
      disk += changeBytes;
      return true;
    },
    giveDisk: (bytes) => void (disk -= bytes),
    mayDrop: (log, drop) => void droppable.set(log, drop),
    forget(log) {
      memory -= memoryOf.get(log) ?? 0;
      memoryOf.delete(log);
      droppable.delete(log);
    },
  };
}
