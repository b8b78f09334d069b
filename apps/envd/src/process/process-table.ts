import { SoulBoxError } from '@soulbox/base';
import type { ProcessSelector } from '@soulbox/contract/process';
import type { ManagedProcess } from './managed-process.ts';

/** How long clients can still connect to an ended process (E2B). */
const retentionMs = 30_000;
/** Each process holds up to four descriptors and a queue. The kernel's own limits usually apply first. */
const maxAlive = 4096;
const maxRetained = 1024;

/** The processes started through envd: running ones, and those that ended within the last 30 s. */
export interface ProcessTable {
  /** Throws limit_exceeded if no further process may start. */
  checkRoom(): void;
  add(process: ManagedProcess): void;
  /** Call this when a process and its output have ended. */
  retire(process: ManagedProcess): void;
  alive(): readonly ManagedProcess[];
  /** Returns a running process. Throws process_not_found, or bad_request without a selector. */
  getAlive(selector: ProcessSelector | undefined): ManagedProcess;
  /** Returns a running or ended process. Throws the same errors. */
  get(selector: ProcessSelector | undefined): ManagedProcess;
}

export function createProcessTable(): ProcessTable {
  const alive = new Set<ManagedProcess>();
  const retained = new Set<ManagedProcess>();
  return {
    checkRoom() {
      if (alive.size >= maxAlive)
        throw new SoulBoxError('limit_exceeded', `More than ${maxAlive} processes are already running. Kill some.`);
    },
    add: (process) => void alive.add(process),
    retire(process) {
      alive.delete(process);
      retained.add(process);
      for (const oldest of retained) {
        if (retained.size <= maxRetained) break;
        retained.delete(oldest);
      }
      setTimeout(() => retained.delete(process), retentionMs);
    },
    alive: () => [...alive],
    getAlive: (selector) => select([...alive], selector),
    // The latest comes first, because the kernel reuses pids.
    get: (selector) => select([...alive, ...[...retained].reverse()], selector),
  };
}

function select(candidates: readonly ManagedProcess[], message: ProcessSelector | undefined): ManagedProcess {
  const selector = message?.selector;
  if (selector?.case === undefined) throw new SoulBoxError('bad_request', 'The selector must name a pid or a tag.');
  const found = candidates.find((process) =>
    selector.case === 'pid' ? process.pid === selector.value : process.tag === selector.value,
  );
  if (found === undefined) {
    throw new SoulBoxError('process_not_found', `process with ${selector.case} ${selector.value} not found`);
  }
  return found;
}
