import { MissingMemory } from './missing-memory.ts';
import type { Blocks } from './missing-memory.ts';
import { pageBytes } from './page-map.ts';
import { UserFault } from './user-fault.ts';
import type { Filling } from './user-fault.ts';

/** `given`: all is filled. `again`: the process's events must be read first. `ended`: the process is gone. */
export type Giving = 'given' | 'again' | 'ended';

/** A process that misses memory. */
export class Task {
  readonly fault: UserFault;
  readonly memory: MissingMemory;
  /** Pages that its threads are blocked on. */
  readonly wanted = new Set<number>();

  constructor(fault: UserFault, memory: MissingMemory) {
    this.fault = fault;
    this.memory = memory;
  }

  static start(fd: number, blocks: Blocks): Task {
    return new Task(new UserFault(fd), new MissingMemory(blocks));
  }

  /**
   * Reads the events of the process; returns the children that it has forked. The kernel reports faults before older
   * events: changes of the memory are applied here, and faults are answered only afterwards.
   */
  takeEvents(): Task[] {
    const children: Task[] = [];
    for (const event of this.fault.takeEvents()) {
      if (event.kind === 'fault') this.wanted.add(event.address);
      if (event.kind === 'remove') this.memory.drop(event.start, event.end);
      if (event.kind === 'unmap') this.memory.unmap(event.start, event.end);
      if (event.kind === 'move') this.memory.move(event.from, event.to, event.length);
      if (event.kind === 'fork') children.push(new Task(event.child, this.memory.fork()));
    }
    return children;
  }

  /** Answers a fault at a page without saved content. */
  giveZeros(address: number): Giving {
    const filling = this.#settle(this.fault.zero(address));
    if (filling === 'again' || filling === 'ended') return filling;
    // The page was filled by somebody else, or the mapping is gone: the thread finds out by itself.
    if (typeof filling === 'string') this.fault.wake(address);
    return 'given';
  }

  /**
   * Fills a missing range with its saved content at `source`. `registered`: the kernel knows all mappings, so a missing
   * one is gone.
   */
  give(first: number, end: number, source: bigint, registered: boolean): Giving {
    for (let start = first; start < end;) {
      const filling = this.#copy(start, end, source + BigInt(start - first));
      if (filling === 'again' || filling === 'ended') return filling;
      if (filling === 'unmapped' && !registered) return 'again';
      const done = typeof filling === 'string' ? pageBytes : filling.done;
      if (typeof filling === 'string') this.fault.wake(start);
      this.memory.drop(start, start + done);
      start += done;
    }
    return 'given';
  }

  /** The range may span mappings that a later mprotect has split: then it is filled page by page. */
  #copy(start: number, end: number, source: bigint): Filling {
    const whole = this.#settle(this.fault.copy(start, source, end - start));
    if (whole !== 'unmapped' || end - start === pageBytes) return whole;
    return this.#settle(this.fault.copy(start, source, pageBytes));
  }

  /** Any result except `again` proves that no fork was in progress. */
  #settle(filling: Filling): Filling {
    if (filling !== 'again') this.memory.settle();
    return filling;
  }

  close(): void {
    this.memory.drop(0, Infinity);
    this.fault.close();
  }
}
