import { beforeEach, describe, expect, it } from 'vitest';
import { createTokenBuckets } from './token-buckets.ts';
import type { TokenBuckets } from './token-buckets.ts';

let now: number;
let buckets: TokenBuckets;
beforeEach(() => {
  now = 1_000_000;
  buckets = createTokenBuckets({ now: () => now });
});
const rate = { perSecond: 2, burst: 4 };

describe('a bucket of tokens', () => {
  it('gives a burst, then says how long the next token takes', () => {
    for (let count = 0; count < 4; count++) expect(buckets.take('a', rate)).toBe(0);
    expect(buckets.take('a', rate)).toBe(1);
    now += 500;
    expect(buckets.take('a', rate)).toBe(0);
    expect(buckets.take('a', rate)).toBe(1);
  });

  it('is true to its word: after the wait, the tokens are there', () => {
    const slow = { perSecond: 0.1, burst: 1 };
    expect(buckets.take('a', slow)).toBe(0);
    const waitSeconds = buckets.take('a', slow);
    expect(waitSeconds).toBe(10);
    now += waitSeconds * 1000 - 1;
    expect(buckets.take('a', slow)).toBe(1);
    now += 1;
    expect(buckets.take('a', slow)).toBe(0);
  });

  it('is never fuller than its burst', () => {
    now += 1_000_000;
    for (let count = 0; count < 4; count++) expect(buckets.take('a', rate)).toBe(0);
    expect(buckets.take('a', rate)).toBe(1);
  });

  it('gives more than its burst from a full bucket only, and is in debt afterwards', () => {
    expect(buckets.take('a', rate, 10)).toBe(0);
    expect(buckets.take('a', rate)).toBe(4);
    now += 3500;
    expect(buckets.take('a', rate)).toBe(0);
    expect(buckets.take('a', rate, 10)).toBe(2);
  });

  it('is one for each id', () => {
    expect(buckets.take('a', rate, 4)).toBe(0);
    expect(buckets.take('a', rate)).toBe(1);
    expect(buckets.take('b', rate)).toBe(0);
  });

  it('follows a changed rate at once', () => {
    expect(buckets.take('a', rate, 4)).toBe(0);
    expect(buckets.take('a', { perSecond: Infinity, burst: 4 })).toBe(0);
    expect(buckets.take('a', { perSecond: 1, burst: 1 })).toBe(0);
    expect(buckets.take('a', { perSecond: 1, burst: 1 })).toBe(1);
    now += 100;
    expect(buckets.take('a', { perSecond: 10, burst: 1 })).toBe(0);
  });

  it('with a rate of 0 gives its burst and then nothing for a day', () => {
    expect(buckets.take('a', { perSecond: 0, burst: 1 })).toBe(0);
    now += 1_000_000_000;
    expect(buckets.take('a', { perSecond: 0, burst: 1 })).toBe(24 * 3600);
  });

  it('gains nothing when the clock is set back', () => {
    expect(buckets.take('a', rate, 4)).toBe(0);
    now -= 60_000;
    expect(buckets.take('a', rate)).toBe(1);
    now += 500;
    expect(buckets.take('a', rate)).toBe(0);
  });
});
