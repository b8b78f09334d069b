import { createMissingMemory } from './missing-memory.ts';
import type { Blocks, MissingMemory } from './missing-memory.ts';
import { pageBytes } from './page-map.ts';
import { createUserFault } from './user-fault.ts';
import type { Filling, UserFault } from './user-fault.ts';

/** `given`: all is filled. `again`: the process's events must be read first. `ended`: the process is gone. */
export type Giving = 'given' | 'again' | 'ended';

export interface Task {
  readonly fault: UserFault;
  readonly memory: MissingMemory;
  /** Pages that its threads are blocked on. */
  readonly wanted: Set<number>;
  /**
   * Reads the events of the process; returns the children that it has forked. The kernel reports faults before older
   * events: changes of the memory are applied here, and faults are answered only afterwards.
   */
  takeEvents(): Task[];
  /** Answers a fault at a page without saved content. */
  giveZeros(address: number): Giving;
  /**
   * Fills a missing range with its saved content at `source`. `registered`: the kernel knows all mappings, so a missing
   * one is gone.
   */
  give(first: number, end: number, source: bigint, registered: boolean): Giving;
  close(): void;
}

export function startTask(fd: number, blocks: Blocks): Task {
  return createTask(createUserFault(fd), createMissingMemory(blocks));
}

/** A process that misses memory. */
export function createTask(fault: UserFault, memory: MissingMemory): Task {
  const wanted = new Set<number>();

  /** Any result except `again` proves that no fork was in progress. */
  const settle = (filling: Filling): Filling => {
    if (filling !== 'again') memory.settle();
    return filling;
  };
  /** The range may span mappings that a later mprotect has split: then it is filled page by page. */
  const copy = (start: number, end: number, source: bigint): Filling => {
    const whole = settle(fault.copy(start, source, end - start));
    if (whole !== 'unmapped' || end - start === pageBytes) return whole;
    return settle(fault.copy(start, source, pageBytes));
  };

  return {
    fault,
    memory,
    wanted,
    takeEvents() {
      const children: Task[] = [];
      for (const event of fault.takeEvents()) {
        if (event.kind === 'fault') wanted.add(event.address);
        if (event.kind === 'remove') memory.drop(event.start, event.end);
        if (event.kind === 'unmap') memory.unmap(event.start, event.end);
        if (event.kind === 'move') memory.move(event.from, event.to, event.length);
        if (event.kind === 'fork') children.push(createTask(event.child, memory.fork()));
      }
      return children;
    },
    giveZeros(address) {
      const filling = settle(fault.zero(address));
      if (filling === 'again' || filling === 'ended') return filling;
      // The page was filled by somebody else, or the mapping is gone: the thread finds out by itself.
      if (typeof filling === 'string') fault.wake(address);
      return 'given';
    },
    give(first, end, source, registered) {
      for (let start = first; start < end;) {
        const filling = copy(start, end, source + BigInt(start - first));
        if (filling === 'again' || filling === 'ended') return filling;
        if (filling === 'unmapped' && !registered) return 'again';
        const done = typeof filling === 'string' ? pageBytes : filling.done;
        if (typeof filling === 'string') fault.wake(start);
        memory.drop(start, start + done);
        start += done;
      }
      return 'given';
    },
    close() {
      memory.drop(0, Infinity);
      fault.close();
    },
  };
}
