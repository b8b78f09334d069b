import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { nodeFlags } from './node-flags.ts';

/** A program that can fill its heap, and prints figures: sizes of the heap in MiB, and how often it was collected. */
const program = (work: string): string => `
  import { getHeapStatistics } from 'node:v8';
  import { setTimeout as sleep } from 'node:timers/promises';
  import { returnUnusedMemory } from ${JSON.stringify(join(import.meta.dirname, 'return-memory.ts'))};
  const heap = () => Math.round(getHeapStatistics().total_heap_size / 2 ** 20);
  const allocate = () => {
    const kept = [];
    for (let count = 0; count < 400_000; count += 1) kept.push({ count, next: [count] });
    return kept.length;
  };
  const print = (...figures) => console.log(JSON.stringify(figures));
  const { gc } = globalThis;
  let collections = 0;
  if (gc) globalThis.gc = (options) => { collections += 1; gc(options); };
  returnUnusedMemory({ everyMs: 100, restMs: 60_000 });
  allocate();
  ${work}`;

function run(work: string, flags = nodeFlags): number[] {
  const args = [...flags, '--conditions=soulbox-source', '--input-type=module', '--eval', program(work)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' })) as number[];
}

const thenQuiet = 'const before = heap(); await sleep(500); print(collections, before, heap());';

test('a process that is quiet returns the memory of a burst', () => {
  const [collections, before = 0, after = 0] = run(thenQuiet);
  expect(collections).toBe(1);
  expect(before).toBeGreaterThan(25);
  expect(after).toBeLessThan(before / 2);
});

test('a busy process is left alone, and so is one without the flag', () => {
  const turns = 'while (Date.now() < end) { for (let n = 0; n < 1e7; n += 1); await sleep(0); }';
  expect(run(`const end = Date.now() + 500; ${turns} print(collections);`)).toEqual([0]);
  expect(run(thenQuiet, [])[0]).toBe(0);
});

test('a process that has just collected rests', () => {
  expect(run('await sleep(500); allocate(); await sleep(500); print(collections, heap() > 25);')).toEqual([1, true]);
});
