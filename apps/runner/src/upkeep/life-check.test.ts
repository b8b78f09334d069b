import type { SandboxInstance } from '@soulbox/isolation';
import { expect, test } from 'vitest';
import type { Live } from '../registry/table.ts';
import { createLifeCheck } from './life-check.ts';

/** A sandbox, and a clock that the test moves. */
function open() {
  const state = { nowMs: 0, cpuUsed: 1, isAlive: true, isGone: false, checks: 0 };
  const driver = {
    readCpuUsed: () => {
      if (state.isGone) throw new Error('gone');
      return state.cpuUsed;
    },
    isAlive: () => {
      state.checks += 1;
      return state.isAlive;
    },
  };
  const live = { driver, instance: {} as SandboxInstance } as unknown as Live;
  const check = createLifeCheck({ now: () => state.nowMs });
  return { state, isAlive: () => check(live) };
}

test('a sandbox in which nothing runs is checked every five seconds', () => {
  const { state, isAlive } = open();
  for (; state.nowMs < 10_000; state.nowMs += 1000) expect(isAlive()).toBe(true);
  expect(state.checks).toBe(2);
});

test('one in which something runs is checked every time', () => {
  const { state, isAlive } = open();
  for (; state.nowMs < 10_000; state.nowMs += 1000) {
    state.cpuUsed += 0.000_001;
    expect(isAlive()).toBe(true);
  }
  expect(state.checks).toBe(10);
});

test('an end is noticed at once, and again in each check', () => {
  const { state, isAlive } = open();
  expect(isAlive()).toBe(true);
  Object.assign(state, { cpuUsed: 1.001, isAlive: false });
  expect(isAlive()).toBe(false);
  expect(isAlive()).toBe(false);
});

test('an end is noticed when the processes are gone with their counter', () => {
  const { state, isAlive } = open();
  expect(isAlive()).toBe(true);
  Object.assign(state, { isGone: true, isAlive: false });
  expect(isAlive()).toBe(false);
});

test('an end that used no CPU time is noticed after five seconds', () => {
  const { state, isAlive } = open();
  expect(isAlive()).toBe(true);
  Object.assign(state, { isAlive: false, nowMs: 5000 });
  expect(isAlive()).toBe(false);
});
