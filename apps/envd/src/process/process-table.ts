import { SoulBoxError } from '@soulbox/base';
import type { ProcessSelector } from '@soulbox/contract/process';
import type { ManagedProcess } from './managed-process.ts';

/** How long an ended process can still be connected to (E2B). */
const retentionMs = 30_000;
/** Each holds up to four descriptors and a queue; the kernel's own limits usually bite first. */
const maxAlive = 4096;
const maxRetained = 1024;

/** The processes started through envd: alive ones, and those that ended within the last 30 s. */
export interface ProcessTable {
  /** Throws limit_exceeded when no further process may start. */
  checkRoom(): void;
  add(process: ManagedProcess): void;
  /** Call when a process and its output have ended. */
  retire(process: ManagedProcess): void;
  alive(): readonly ManagedProcess[];
  /** An alive process. Throws process_not_found, bad_request without a selector. */
  getAlive(selector: ProcessSelector | undefined): ManagedProcess;
  /** Alive or ended. Throws likewise. */
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
    // The latest first: the kernel uses a pid again.
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
