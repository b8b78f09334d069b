import { SoulBoxError } from '@soulbox/base';
import type { ProcessSelector } from '@soulbox/contract/process';
import { createKeptProcesses } from './kept-processes.ts';
import type { ManagedProcess } from './managed-process.ts';

/** How long clients can still connect to an ended process (E2B). */
const retentionMs = 30_000;
/** Each process holds up to four descriptors and a queue. The kernel's own limits usually apply first. */
const maxAlive = 4096;
const maxRetained = 1024;

/** The processes started through envd: running ones, and ended ones for a time. */
export interface ProcessTable {
  /** Throws limit_exceeded if no further process may start. */
  checkRoom(): void;
  /** An id that no process of this sandbox has or had. */
  newId(): string;
  add(process: ManagedProcess): void;
  /** Call this when a process and its output have ended. */
  retire(process: ManagedProcess): void;
  alive(): readonly ManagedProcess[];
  /** Returns a running process. Throws process_not_found, or bad_request without a selector. */
  getAlive(selector: ProcessSelector | undefined): ManagedProcess;
  /** Returns a running process or one that ended within the last 30 s. Throws the same errors. */
  get(selector: ProcessSelector | undefined): ManagedProcess;

  // By id, for soulbox.process.v1. Ended processes are kept as long as their specification says.

  /** Running and kept processes, in the order of their starts. */
  all(): readonly ManagedProcess[];
  findById(id: string): ManagedProcess | undefined;
  /** Removes an ended process with its log, `afterMs` from now (0 by default). */
  forget(process: ManagedProcess, afterMs?: number): void;
  /** Removes the ended processes for which this is true. */
  forgetEnded(isForgotten: (process: ManagedProcess) => boolean): void;
}

export function createProcessTable(readPrefix: () => string): ProcessTable {
  const alive = new Map<string, ManagedProcess>();
  const retained = new Set<ManagedProcess>();
  const kept = createKeptProcesses();
  /** Copies of the sandbox share it. Their processes only have to differ from each other within one sandbox. */
  let prefix: string | undefined;
  let started = 0;
  return {
    checkRoom() {
      if (alive.size >= maxAlive)
        throw new SoulBoxError('limit_exceeded', `More than ${maxAlive} processes are already running. Kill some.`);
    },
    newId() {
      prefix ??= readPrefix();
      started += 1;
      return `${prefix}-${started}`;
    },
    add: (process) => void alive.set(process.id, process),
    retire(process) {
      alive.delete(process.id);
      kept.add(process);
      retained.add(process);
      for (const oldest of retained) {
        if (retained.size <= maxRetained) break;
        retained.delete(oldest);
      }
      setTimeout(() => retained.delete(process), retentionMs);
    },
    alive: () => [...alive.values()],
    getAlive: (selector) => select([...alive.values()], selector),
    // The latest comes first, because the kernel reuses pids.
    get: (selector) => select([...alive.values(), ...[...retained].reverse()], selector),
    all: () => [...kept.all(), ...alive.values()].sort((one, other) => one.startedAtMs - other.startedAtMs),
    findById: (id) => alive.get(id) ?? kept.find(id),
    forget: (process, afterMs) => kept.forget(process, afterMs),
    forgetEnded(isForgotten) {
      for (const process of kept.all()) if (isForgotten(process)) kept.forget(process);
    },
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
