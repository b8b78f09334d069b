import { beforeEach, describe, expect, it } from 'vitest';
import { createActivity } from './activity.ts';
import type { Activity } from './activity.ts';

let now: number;
let activity: Activity;
let cpuUsedSeconds: number;
let transferredBytes: number;

/** Advances the clock by a second in which the sandbox uses this much. */
function second(cpuSeconds = 0, bytes = 0): void {
  now += 1000;
  cpuUsedSeconds += cpuSeconds;
  transferredBytes += bytes;
  activity.observe('i', { cpuUsedSeconds, transferredBytes, idleCpus: 0.01 });
}

beforeEach(() => {
  now = 1_000_000;
  cpuUsedSeconds = 7;
  transferredBytes = 7;
  activity = createActivity({ now: () => now });
  second();
});

describe('what counts as activity', () => {
  it('a sandbox that does nothing is idle from its first reading on', () => {
    for (let count = 0; count < 5; count++) second();
    expect(activity.idleMs('i')).toBe(5000);
  });

  it('a busy program keeps a sandbox active, envd by itself does not', () => {
    second(0.005);
    second(0.005);
    expect(activity.idleMs('i')).toBe(2000);
    second(0.02);
    expect(activity.idleMs('i')).toBe(0);
  });

  it('a single byte to the disk or the network is activity', () => {
    second();
    second(0, 1);
    second();
    expect(activity.idleMs('i')).toBe(1000);
  });

  it('an open stream keeps a sandbox active however long it is silent, and idleness counts from its end', () => {
    const stream = activity.enter('i');
    for (let count = 0; count < 60; count++) second();
    expect(activity.idleMs('i')).toBe(0);
    stream[Symbol.dispose]();
    second();
    expect(activity.idleMs('i')).toBe(1000);
  });

  it('a stream that is closed twice counts once', () => {
    const [one, other] = [activity.enter('i'), activity.enter('i')];
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    second();
    expect(activity.idleMs('i')).toBe(0);
    other[Symbol.dispose]();
    second();
    expect(activity.idleMs('i')).toBe(1000);
  });

  it('counters that restart after a pause do not count as idleness', () => {
    for (let count = 0; count < 5; count++) second();
    activity.forget('i');
    cpuUsedSeconds = 0;
    second();
    expect(activity.idleMs('i')).toBe(0);
  });

  it('a sandbox that was never observed is not idle', () => {
    expect(activity.idleMs('other')).toBe(0);
  });

  it('a stream that stays open during a pause keeps the sandbox active afterwards until it is closed', () => {
    const stream = activity.enter('i');
    activity.forget('i');
    cpuUsedSeconds = 0;
    for (let count = 0; count < 3; count++) second();
    expect(activity.idleMs('i')).toBe(0);
    stream[Symbol.dispose]();
    second();
    expect(activity.idleMs('i')).toBe(1000);
  });

  it('a sandbox without open streams is forgotten completely', () => {
    second();
    expect(activity.idleMs('i')).toBe(1000);
    activity.forget('i');
    expect(activity.idleMs('i')).toBe(0);
    activity.forget('never seen');
  });

  it('CPU use below that of the driver is no activity, a little more is', () => {
    second(0.0099);
    expect(activity.idleMs('i')).toBe(1000);
    second(0.0101);
    expect(activity.idleMs('i')).toBe(0);
  });

  it('two readings at the same time give no CPU use', () => {
    second();
    activity.observe('i', { cpuUsedSeconds: cpuUsedSeconds + 5, transferredBytes, idleCpus: 0.01 });
    expect(activity.idleMs('i')).toBe(1000);
  });
});
