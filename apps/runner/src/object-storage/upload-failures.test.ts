import { expect, test } from 'vitest';
import { createFailures } from './upload-failures.ts';

test('after each failure the next try comes later, up to five minutes, and success forgets them', () => {
  let now = 0;
  const failures = createFailures(() => now);
  const waits: number[] = [];
  for (let count = 0; count < 12; count++) {
    failures.note('a', `failure ${count}`);
    const failedAt = now;
    while (!failures.mayTry('a')) now += 1000;
    waits.push((now - failedAt) / 1000);
  }
  expect(waits).toEqual([2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300, 300]);
  expect([failures.find('a'), failures.mayTry('b'), failures.find('b')]).toEqual(['failure 11', true, undefined]);
  failures.forget('a');
  expect([failures.mayTry('a'), failures.find('a')]).toEqual([true, undefined]);
});

test('what is not wanted any more is forgotten', () => {
  const failures = createFailures(() => 0);
  for (const object of ['a', 'b']) failures.note(object, 'why');
  failures.keepOnly(new Set(['b']));
  expect([failures.find('a'), failures.find('b')]).toEqual([undefined, 'why']);
});
