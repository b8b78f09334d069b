import { MissingMemory } from './missing-memory.ts';
import type { Blocks } from './missing-memory.ts';
import { pageBytes } from './page-map.ts';
import { UserFault } from './user-fault.ts';
import type { Filling } from './user-fault.ts';

/** `given`: all is there. `again`: the process has to be heard first. `ended`: there is nobody to give to any more. */
export type Giving = 'given' | 'again' | 'ended';

/** A process that misses memory. */
export class Task {
  readonly fault: UserFault;
  readonly memory: MissingMemory;
  /** Pages that its threads stand still for. */
  readonly wanted = new Set<number>();

  constructor(fault: UserFault, memory: MissingMemory) {
    this.fault = fault;
    this.memory = memory;
  }

  static start(fd: number, blocks: Blocks): Task {
    return new Task(new UserFault(fd), new MissingMemory(blocks));
  }

  /**
   * Hears what the process has done; gives the children it has forked. The kernel reports faults before older events: what
   * changes the memory is applied here, and faults are answered only afterwards.
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

  /** Answers a fault where nothing was saved. */
  giveZeros(address: number): Giving {
    const filling = this.#settle(this.fault.zero(address));
    if (filling === 'again' || filling === 'ended') return filling;
    // Somebody else was faster, or the mapping is gone: the thread sees for itself.
    if (typeof filling === 'string') this.fault.wake(address);
    return 'given';
  }

  /**
   * Gives a missing range its saved content at `source`. `registered`: all mappings are known to the kernel, so that one
   * that is not found is gone.
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

  /** The range may reach over mappings that a later mprotect made of one: then page by page. */
  #copy(start: number, end: number, source: bigint): Filling {
    const whole = this.#settle(this.fault.copy(start, source, end - start));
    if (whole !== 'unmapped' || end - start === pageBytes) return whole;
    return this.#settle(this.fault.copy(start, source, pageBytes));
  }

  /** Whatever the kernel says but `again` proves that no fork was under way. */
  #settle(filling: Filling): Filling {
    if (filling !== 'again') this.memory.settle();
    return filling;
  }

  close(): void {
    this.memory.drop(0, Infinity);
    this.fault.close();
  }
}
