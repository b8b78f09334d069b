import { beforeEach, describe, expect, test } from 'vitest';
import { createBlocks, createMissingMemory } from './missing-memory.ts';
import type { Blocks } from './missing-memory.ts';
import { createTask, startTask } from './task.ts';
import type { Task } from './task.ts';
import type { Filling, UserFault, UserFaultEvent } from './user-fault.ts';

const page = 4096;

interface PlayedFault extends UserFault {
  events: UserFaultEvent[];
  answers: Filling[];
  /** The requested operations in order. */
  readonly calls: [name: string, ...numbers: number[]][];
}

/** Plays the kernel's side: answers each call with the next of `answers`, and with success if there is none. */
function createPlayedFault(fd: number): PlayedFault {
  const played: PlayedFault = {
    fd,
    events: [],
    answers: [],
    calls: [],
    takeEvents: () => played.events.splice(0),
    copy(start, source, length) {
      played.calls.push(['copy', start / page, Number(source), length / page]);
      return played.answers.shift() ?? { done: length };
    },
    zero(start) {
      played.calls.push(['zero', start / page]);
      return played.answers.shift() ?? { done: page };
    },
    wake: (start) => void played.calls.push(['wake', start / page]),
    close: () => void played.calls.push(['close']),
  };
  return played;
}

let blocks: Blocks;
let fault: PlayedFault;
let task: Task;

/** A task that misses the pages 0 to 7. */
beforeEach(() => {
  blocks = createBlocks(8 * page);
  fault = createPlayedFault(9);
  task = createTask(fault, createMissingMemory(blocks));
  task.memory.add('pages-1.img', [{ start: 0, end: 8 * page, offset: 0, lazy: true }]);
});

/** Numbers of the pages that a memory misses. */
function missing(memory = task.memory): number[] {
  return [...Array(20).keys()].filter((number) => memory.find(number * page) !== undefined);
}

/** Includes pages whose munmap a fork in progress would not have seen. */
const missingOfChild = (): number[] => missing(task.memory.fork());

describe('an event of a process', () => {
  test('changes its missing memory without any request to the kernel', () => {
    fault.events = [
      { kind: 'remove', start: 0, end: page },
      { kind: 'unmap', start: page, end: 2 * page },
      { kind: 'move', from: 2 * page, to: 12 * page, length: page },
    ];
    expect(task.takeEvents()).toEqual([]);
    expect(missing()).toEqual([3, 4, 5, 6, 7, 12]);
    expect(task.memory.find(12 * page)?.offset).toBe(2 * page);
    expect([...task.wanted]).toEqual([]);
    expect(fault.calls).toEqual([]);
  });

  test('blocked threads are recorded by page, each page once', () => {
    const at = (number: number): UserFaultEvent => ({ kind: 'fault', address: number * page });
    fault.events = [at(3), at(1), at(3)];
    task.takeEvents();
    expect([...task.wanted]).toEqual([3 * page, page]);
    expect(missing()).toHaveLength(8);
  });

  test('a child misses the same memory as its parent at the fork', () => {
    const child = createPlayedFault(9);
    fault.events = [
      { kind: 'remove', start: 0, end: 4 * page },
      { kind: 'fork', child },
      { kind: 'remove', start: 4 * page, end: 6 * page },
    ];
    const [born, ...others] = task.takeEvents();
    expect(others).toEqual([]);
    expect(born?.fault).toBe(child);
    expect(missing(born?.memory)).toEqual([4, 5, 6, 7]);
    expect(missing()).toEqual([6, 7]);
  });
});

describe('a range', () => {
  test('is provided at once, and is not missing any more', () => {
    expect(task.give(2 * page, 6 * page, 5000n, true)).toBe('given');
    expect(fault.calls).toEqual([['copy', 2, 5000, 4]]);
    expect(missing()).toEqual([0, 1, 6, 7]);
  });

  test('that is provided in parts continues where the kernel stopped', () => {
    fault.answers = [{ done: page }, { done: 2 * page }];
    expect(task.give(0, 4 * page, 5000n, true)).toBe('given');
    expect(fault.calls).toEqual([
      ['copy', 0, 5000, 4],
      ['copy', 1, 5000 + page, 3],
      ['copy', 3, 5000 + 3 * page, 1],
    ]);
    expect(missing()).toEqual([4, 5, 6, 7]);
  });

  test.each(['again', 'ended'] as const)('keeps its unfilled part when the kernel returns %s', (filling) => {
    fault.answers = [{ done: page }, filling];
    expect(task.give(0, 4 * page, 0n, true)).toBe(filling);
    expect(fault.calls).toHaveLength(2);
    expect(missing()).toEqual([1, 2, 3, 4, 5, 6, 7]);
  });

  test('with a page that already exists: its threads are woken, and the next page is filled', () => {
    fault.answers = ['exists'];
    expect(task.give(0, 2 * page, 5000n, true)).toBe('given');
    expect(fault.calls).toEqual([
      ['copy', 0, 5000, 2],
      ['wake', 0],
      ['copy', 1, 5000 + page, 1],
    ]);
    expect(missing()).toEqual([2, 3, 4, 5, 6, 7]);
  });

  test('over two mappings is filled page by page', () => {
    fault.answers = ['unmapped', { done: page }];
    expect(task.give(0, 3 * page, 0n, true)).toBe('given');
    expect(fault.calls).toEqual([
      ['copy', 0, 0, 3],
      ['copy', 0, 0, 1],
      ['copy', 1, page, 2],
    ]);
  });

  test('whose mapping is gone is not missing any more, and its waiting threads are woken', () => {
    fault.answers = ['unmapped', 'unmapped', 'unmapped'];
    expect(task.give(0, 2 * page, 0n, true)).toBe('given');
    expect(fault.calls).toEqual([
      ['copy', 0, 0, 2],
      ['copy', 0, 0, 1],
      ['wake', 0],
      // A single page is not requested twice.
      ['copy', 1, page, 1],
      ['wake', 1],
    ]);
    expect(missing()).toEqual([2, 3, 4, 5, 6, 7]);
  });

  test('is provided while CRIU still registers others', () => {
    fault.answers = [{ done: page }, 'exists'];
    expect(task.give(0, 2 * page, 0n, false)).toBe('given');
    expect(missing()).toEqual([2, 3, 4, 5, 6, 7]);
  });

  test('that CRIU has not registered yet is still missing, and is tried again', () => {
    fault.answers = ['unmapped', 'unmapped'];
    expect(task.give(0, 2 * page, 0n, false)).toBe('again');
    expect(missing()).toHaveLength(8);
    expect(fault.calls.filter(([name]) => name === 'wake')).toEqual([]);
  });
});

describe('a page without saved content', () => {
  test('is filled with zeros', () => {
    expect(task.giveZeros(9 * page)).toBe('given');
    expect(fault.calls).toEqual([['zero', 9]]);
  });

  test.each(['exists', 'unmapped'] as const)('that is %s is left to the thread that waits for it', (filling) => {
    fault.answers = [filling];
    expect(task.giveZeros(9 * page)).toBe('given');
    expect(fault.calls).toEqual([
      ['zero', 9],
      ['wake', 9],
    ]);
  });

  test.each(['again', 'ended'] as const)(
    "is tried again or given up according to the kernel's answer: %s",
    (filling) => {
      fault.answers = [filling];
      expect(task.giveZeros(9 * page)).toBe(filling);
      expect(fault.calls).toEqual([['zero', 9]]);
    },
  );
});

describe('a munmap', () => {
  beforeEach(() => {
    fault.events = [{ kind: 'unmap', start: 0, end: page }];
    task.takeEvents();
  });

  test('may be newer than a fork in progress, until the kernel fills a page', () => {
    expect(missingOfChild()).toContain(0);
    task.giveZeros(9 * page);
    expect(missingOfChild()).not.toContain(0);
  });

  test('still may be after the kernel has refused for now', () => {
    fault.answers = ['again', 'again'];
    task.giveZeros(9 * page);
    task.give(2 * page, 3 * page, 0n, true);
    expect(missingOfChild()).toContain(0);
  });

  test('is older than any fork once a copy returns anything else', () => {
    fault.answers = ['exists'];
    task.give(2 * page, 3 * page, 0n, true);
    expect(missingOfChild()).not.toContain(0);
  });
});

test('a closed task waits for no block, and its descriptor is closed', () => {
  expect(blocks.first()).toBeDefined();
  task.close();
  expect(task.memory.isComplete).toBe(true);
  expect(blocks.first()).toBeUndefined();
  expect(fault.calls).toEqual([['close']]);
});

test('a task begins without missing memory, and with the given descriptor', () => {
  const started = startTask(7, blocks);
  expect(started.fault.fd).toBe(7);
  expect(started.memory.isComplete).toBe(true);
});
