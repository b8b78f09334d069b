/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createFrequencySketch } from './frequency-sketch.ts';
import { createMemoryLevel } from './memory-level.ts';

const { signal } = new AbortController();
const value = (bytes: number): Buffer => Buffer.allocUnsafeSlow(bytes);

function openLevel(maxBytes: number) {
  const uses = createFrequencySketch(256);
  return { uses, level: createMemoryLevel({ maxBytes, uses }) };
}

test('there is room for values up to the limit, and a removed one makes room', async () => {
  const { level } = openLevel(3000);
  level.offer('a', value(1000));
  level.offer('b', value(1000));
  level.offer('c', value(1000));
  expect(level.content()).toEqual({ bytes: 2512, maxBytes: 3000, entries: 2, evictions: 0 });
  expect(await level.find('c', signal)).toBeUndefined();
  await level.remove('a');
  level.offer('c', value(1000));
  expect((await level.find('c', signal))?.length).toBe(1000);
  level.offer('large', value(3000));
  expect(level.has('large')).toBe(false);
});

test('a value that is used more often replaces the one that was not read for the longest time', async () => {
  const { level, uses } = openLevel(2600);
  level.offer('a', value(1000));
  level.offer('b', value(1000));
  await level.find('a', signal);
  uses.note('b');
  uses.note('new');
  level.offer('new', value(1000));
  expect([level.has('a'), level.has('b'), level.has('new')]).toEqual([true, true, false]);
  uses.note('new');
  level.offer('new', value(1000));
  expect([level.has('a'), level.has('b'), level.has('new')]).toEqual([true, false, true]);
  expect(level.content()?.evictions).toBe(1);
});

test('a content that is read once does not drive out what is hot', async () => {
  const { level, uses } = openLevel(10 * 1256);
  for (let hot = 0; hot < 10; hot++) {
    for (let use = 0; use < 3; use++) uses.note(`hot ${hot}`);
    level.offer(`hot ${hot}`, value(1000));
  }
  for (let once = 0; once < 200; once++) {
    uses.note(`once ${once}`);
    level.offer(`once ${once}`, value(1000));
  }
  const found = await Promise.all(Array.from({ length: 10 }, (_, hot) => level.find(`hot ${hot}`, signal)));
  expect(found.filter((each) => each !== undefined)).toHaveLength(10);
});

test('what is taken in advance gets its place', () => {
  const { level, uses } = openLevel(1300);
  for (let use = 0; use < 5; use++) uses.note('hot');
  level.offer('hot', value(1000));
  level.take('next', value(1000));
  expect([level.has('hot'), level.has('next')]).toEqual([false, true]);
});

test('a part of a larger buffer counts with all that it keeps', () => {
  const { level } = openLevel(100_000);
  level.offer('a', value(50_000).subarray(0, 10));
  expect(level.content()?.bytes).toBe(50_256);
});

test('the limit holds for any sequence, and the count of bytes is that of what is there', () => {
  const step = fc.record({
    what: fc.constantFrom('offer', 'take', 'remove', 'find', 'note'),
    key: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'),
    bytes: fc.integer({ min: 0, max: 3000 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const { level, uses } = openLevel(5000);
      const sizes = new Map<string, number>();
      for (const { what, key, bytes } of steps) {
        if (what === 'offer') level.offer(key, value(bytes));
        else if (what === 'take') level.take(key, value(bytes));
        else if (what === 'remove') void level.remove(key);
        else if (what === 'find') void level.find(key, signal);
        else uses.note(key);
        if ((what === 'offer' || what === 'take') && level.has(key)) sizes.set(key, bytes);
        const held = [...sizes].filter(([each]) => level.has(each));
        const content = level.content();
        expect(content?.bytes).toBeLessThanOrEqual(5000);
        expect(content?.entries).toBe(held.length);
      }
    }),
  );
});
