/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBlocks, createMissingMemory } from './missing-memory.ts';
import type { Blocks, MissingMemory } from './missing-memory.ts';

const page = 4096;
const pagesPerBlock = 4;
const pages = 64;

/** For each missing page of the process, its page in the file; both as page numbers. */
function contentOf(memory: MissingMemory): Map<number, number> {
  const found = new Map<number, number>();
  for (let number = 0; number < pages * 2; number += 1) {
    const piece = memory.find(number * page);
    if (piece !== undefined) found.set(number, (piece.offset + number * page - piece.start) / page);
  }
  return found;
}

function memoryOf(blocks: Blocks, runs: readonly (readonly [start: number, end: number])[]): MissingMemory {
  const memory = createMissingMemory(blocks);
  let offset = 0;
  for (const [start, end] of runs) {
    memory.add('pages-1.img', [{ start: start * page, end: end * page, offset, lazy: true }]);
    offset += (end - start) * page;
  }
  return memory;
}

const newBlocks = (): Blocks => createBlocks(pagesPerBlock * page);

test('a run is split where a new block of its file begins', () => {
  const memory = memoryOf(newBlocks(), [[10, 20]]);
  expect(memory.find(10 * page)).toMatchObject({ start: 10 * page, end: 14 * page, offset: 0 });
  expect(memory.find(19 * page)).toMatchObject({ start: 18 * page, end: 20 * page, offset: 8 * page });
  expect(memory.find(9 * page)).toBeUndefined();
  expect(memory.find(20 * page)).toBeUndefined();
});

test('a range may begin and end within a piece: the memory around it is still missing', () => {
  const memory = memoryOf(newBlocks(), [[0, 4]]);
  memory.drop(page, 2 * page);
  expect([...contentOf(memory)]).toEqual([
    [0, 0],
    [2, 2],
    [3, 3],
  ]);
  memory.move(2 * page, 50 * page, page);
  expect([...contentOf(memory)]).toEqual([
    [0, 0],
    [3, 3],
    [50, 2],
  ]);
});

test('a memory is complete only when all of it has been provided', () => {
  const memory = memoryOf(newBlocks(), [[0, 2]]);
  expect(memory.isComplete).toBe(false);
  memory.drop(0, page);
  expect(memory.isComplete).toBe(false);
  memory.drop(page, 2 * page);
  expect(memory.isComplete).toBe(true);
});

test('all processes that wait for a block share it; another place or file has another block', () => {
  const blocks = newBlocks();
  const block = blocks.get('pages-1.img', 1);
  expect(blocks.get('pages-1.img', 1)).toBe(block);
  expect(blocks.get('pages-1.img', 2)).not.toBe(block);
  expect(blocks.get('pages-2.img', 1)).not.toBe(block);
  // When two processes wait for one block with the same content, it is read once for both.
  const one = createMissingMemory(blocks);
  const other = createMissingMemory(blocks);
  for (const memory of [one, other]) memory.add('pages-3.img', [{ start: page, end: 2 * page, offset: 0, lazy: true }]);
  expect(one.find(page)?.block).toBe(other.find(page)?.block);
});

test('a block stays wanted until every process has its part', () => {
  const blocks = newBlocks();
  const parent = memoryOf(blocks, [[0, 4]]);
  const child = parent.fork();
  parent.drop(0, Infinity);
  expect(parent.isComplete).toBe(true);
  expect(blocks.first()?.pieces.size).toBe(1);
  child.drop(0, 2 * page);
  expect(blocks.first()).toBeDefined();
  child.drop(2 * page, 4 * page);
  expect(blocks.first()).toBeUndefined();
});

test('a child misses pages that another thread unmapped or moved during the fork', () => {
  const memory = memoryOf(newBlocks(), [[0, 8]]);
  memory.unmap(0, 2 * page);
  memory.move(4 * page, 40 * page, 2 * page);
  expect([...contentOf(memory)]).toEqual([
    [2, 2],
    [3, 3],
    [6, 6],
    [7, 7],
    [40, 4],
    [41, 5],
  ]);
  const both = contentOf(memory.fork());
  for (const number of [0, 1, 4, 5]) expect(both.get(number)).toBe(number);
  expect(both.get(40)).toBe(4);
});

test('a child does not miss pages that were unmapped before its fork began, or that were replaced by zeros', () => {
  const memory = memoryOf(newBlocks(), [[0, 8]]);
  memory.unmap(0, 2 * page);
  memory.settle();
  memory.drop(2 * page, 4 * page);
  expect([...contentOf(memory.fork()).keys()]).toEqual([4, 5, 6, 7]);
});

test.each([0, 30])('a child never gets two contents for one page: page %i', (number) => {
  const memory = memoryOf(newBlocks(), [
    [number, number + 2],
    [10, 12],
  ]);
  memory.unmap(number * page, (number + 2) * page);
  memory.move(10 * page, number * page, 2 * page);
  const child = memory.fork();
  expect(contentOf(child).get(number)).toBe(2);
  // Providing the page ends the wait: no second piece is left.
  child.drop(number * page, (number + 2) * page);
  expect(child.find(number * page)).toBeUndefined();
  child.drop(0, Infinity);
  expect(child.isComplete).toBe(true);
});

/** Page numbers as runs: adjacent numbers form one run, so that ranges begin and end within pieces. */
function runsOf(numbers: readonly number[]): [start: number, end: number][] {
  const runs: [start: number, end: number][] = [];
  for (const number of numbers.toSorted((one, other) => one - other)) {
    const last = runs.at(-1);
    if (last?.[1] === number) last[1] = number + 1;
    else runs.push([number, number + 1]);
  }
  return runs;
}

const range = fc.tuple(fc.nat(pages - 1), fc.integer({ min: 1, max: 12 }));
const step = fc.oneof(
  fc.record({ kind: fc.constantFrom('drop', 'unmap'), range }),
  fc.record({ kind: fc.constant('move'), range, to: fc.nat(pages - 1) }),
);

test('after any unmap, move or load, each missing page is known at its place with its content', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.nat(pages - 1), { minLength: 1 }),
      fc.array(step, { maxLength: 20 }),
      (start, steps) => {
        const blocks = newBlocks();
        const memory = memoryOf(blocks, runsOf(start));
        let model = contentOf(memory);
        for (const {
          kind,
          range: [from, length],
          ...rest
        } of steps) {
          const inside = (number: number): boolean => number >= from && number < from + length;
          if (kind === 'drop') memory.drop(from * page, (from + length) * page);
          if (kind === 'unmap') memory.unmap(from * page, (from + length) * page);
          const to = 'to' in rest ? rest.to : undefined;
          const kept = [...model].filter(([number]) => !inside(number));
          if (to === undefined) model = new Map(kept);
          // The kernel refuses to move memory onto a part of itself.
          else if (Math.abs(to - from) >= length) {
            memory.move(from * page, to * page, length * page);
            const moved = [...model].filter(([number]) => inside(number));
            model = new Map([
              ...kept.filter(([number]) => number < to || number >= to + length),
              ...moved.map(([number, content]) => [number + to - from, content] as const),
            ]);
          }
          expect(contentOf(memory)).toEqual(new Map([...model].sort(([one], [other]) => one - other)));
        }
        memory.drop(0, Infinity);
        expect(blocks.first()).toBeUndefined();
      },
    ),
  );
});
