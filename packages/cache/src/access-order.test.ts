/** @module-tag violation */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createAccessOrder } from './access-order.ts';

function start(more: { ahead?: number; groupsMax?: number; membersMax?: number } = {}) {
  const clock = { now: 0 };
  const order = createAccessOrder({ ahead: 3, idleMs: 100, now: () => clock.now, ...more });
  const run = (members: readonly string[], group = 'g'): (readonly string[])[] => {
    clock.now += 1000;
    return members.map((member) => order.note(group, member));
  };
  return { clock, order, run };
}

test('the first run foresees nothing, the next one what was read then, each member once', () => {
  const { run } = start();
  expect(run(['c', 'a', 'a', 'b', 'e', 'd']).flat()).toEqual([]);
  expect(run(['c', 'a', 'b', 'e', 'd'])).toEqual([['a', 'b', 'e'], ['d'], [], [], []]);
});

test('a run that jumps gets what comes after the jump', () => {
  const { run } = start({ ahead: 2 });
  run(['a', 'b', 'c', 'd', 'e', 'f', 'g']);
  expect(run(['a', 'e'])).toEqual([
    ['b', 'c'],
    ['f', 'g'],
  ]);
});

test('an order that fits no more is given up in this run, and replaced after it', () => {
  const { run } = start();
  const old = Array.from({ length: 40 }, (_, at) => `old ${at}`);
  const fresh = Array.from({ length: 20 }, (_, at) => `new ${at}`);
  run(old);
  expect(run([...fresh, 'old 5']).flat()).toEqual([]);
  expect(run(['new 0'])).toEqual([['new 1', 'new 2', 'new 3']]);
});

test('a run that was broken off does not replace the order of a whole one', () => {
  const { run } = start();
  run(['a', 'b', 'c', 'd', 'e']);
  run(['a', 'b']);
  expect(run(['a', 'b', 'c'])).toEqual([['b', 'c', 'd'], ['e'], []]);
});

test('orders of ended runs are handed out once, and are learned elsewhere', () => {
  const { run, order, clock } = start();
  run(['a', 'b', 'c']);
  expect(order.takeEnded()).toEqual([]);
  clock.now += 1000;
  const ended = order.takeEnded();
  expect(ended).toEqual([{ group: 'g', order: ['a', 'b', 'c'] }]);
  expect(order.takeEnded()).toEqual([]);
  const other = start();
  expect(other.order.isUnknown('g')).toBe(true);
  other.order.learn('g', ended[0]?.order);
  expect(other.order.isUnknown('g')).toBe(false);
  expect(other.run(['a'])).toEqual([['b', 'c']]);
});

test('an order that was learned in the middle of a run is used at once', () => {
  const { run, order } = start();
  run(['a']);
  order.learn('g', ['a', 'b', 'c', 'd', 'e', 'f']);
  expect(order.note('g', 'b')).toEqual(['c', 'd', 'e']);
});

test.each([null, 'a', { length: 1 }, [1], [''], ['x'.repeat(65)], Array.from({ length: 5000 }, (_, at) => String(at))])(
  'what is no order is ignored: %j',
  (given) => {
    const { order } = start();
    order.learn('g', given);
    expect(order.isUnknown('g')).toBe(true);
  },
);

test('groups and members are bounded', () => {
  const { run, order } = start({ groupsMax: 2, membersMax: 3 });
  run(['a', 'b', 'c', 'd', 'e'], 'first');
  expect(run(['a'], 'first')).toEqual([['b', 'c']]);
  run(['a', 'b'], 'second');
  run(['a', 'b'], 'third');
  expect([order.isUnknown('first'), run(['a'], 'first')]).toEqual([true, [[]]]);
  expect(run(['a', 'x'.repeat(100), 'b'], 'long').flat()).toEqual([]);
  expect(run(['a'], 'long')).toEqual([['b']]);
});

test('whatever is read, nothing is foreseen twice in a run, nor what was read before', () => {
  const members = fc.array(fc.integer({ min: 0, max: 30 }).map(String), { maxLength: 60 });
  fc.assert(
    fc.property(members, members, (first, second) => {
      const { run } = start();
      run(first);
      const seen = new Set<string>();
      const foreseen = new Set<string>();
      const steps = run(second);
      for (const [at, member] of second.entries()) {
        seen.add(member);
        for (const next of steps[at] ?? []) {
          expect([seen.has(next), foreseen.has(next), first.includes(next)]).toEqual([false, false, true]);
          foreseen.add(next);
        }
      }
    }),
  );
});
