import { expect, test } from 'vitest';
import { createBreaker } from './breaker.ts';

function start() {
  const clock = { now: 0 };
  return { clock, breaker: createBreaker(() => clock.now) };
}

test('three failures in a row begin a rest, two do not', () => {
  const { breaker } = start();
  breaker.failed(false);
  breaker.failed(false);
  breaker.succeeded();
  breaker.failed(false);
  breaker.failed(false);
  expect([breaker.mayTry(), breaker.isResting()]).toEqual([true, false]);
  breaker.failed(false);
  expect([breaker.mayTry(), breaker.isResting()]).toEqual([false, true]);
});

test('after a rest one caller tries, and its success ends the rest', () => {
  const { breaker, clock } = start();
  breaker.failed(true);
  clock.now = 999;
  expect(breaker.mayTry()).toBe(false);
  clock.now = 1000;
  expect([breaker.mayTry(), breaker.mayTry()]).toEqual([true, false]);
  breaker.succeeded();
  expect([breaker.isResting(), breaker.mayTry(), breaker.mayTry()]).toEqual([false, true, true]);
});

test('rests double up to a minute while tries fail', () => {
  const { breaker, clock } = start();
  breaker.failed(true);
  const rests: number[] = [];
  for (let round = 0; round < 8; round++) {
    const from = clock.now;
    while (!breaker.mayTry()) clock.now += 100;
    rests.push(clock.now - from);
    breaker.failed(false);
  }
  expect(rests).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
});

test('a caller that leaves lets the next one try', () => {
  const { breaker, clock } = start();
  breaker.failed(true);
  clock.now = 1000;
  expect(breaker.mayTry()).toBe(true);
  breaker.unknown();
  expect(breaker.mayTry()).toBe(true);
});

test('an answer from before does not end a rest', () => {
  const { breaker } = start();
  breaker.rest(60_000);
  breaker.succeeded();
  expect(breaker.isResting()).toBe(true);
});
