import { beforeEach, expect, test } from 'vitest';
import { createKernelCache } from './kernel-cache.ts';

let now: number;
beforeEach(() => {
  now = 1000;
});
const clock = (): number => now;

/** What a promise waits for on the real clock: it is settled at once, or not. */
async function isWaiting(work: Promise<unknown>): Promise<boolean> {
  const moment = new Promise<'waits'>((resolve) => setTimeout(() => resolve('waits'), 20));
  return (await Promise.race([work, moment])) === 'waits';
}

test('the kernel of the only mount may keep what it is told', async () => {
  const cache = createKernelCache({ mayBeKept: false, mounts: 0 }, clock);
  await cache.setMounts(1);
  expect(cache.ttlMs()).toBe(250);
  expect(cache.isEmpty()).toBe(false);
});

test('with a second mount nothing more is kept, and it waits until what was kept has expired', async () => {
  const cache = createKernelCache({ mayBeKept: false, mounts: 1 }, clock);
  cache.ttlMs();
  const second = cache.setMounts(2);
  expect(cache.ttlMs()).toBe(0);
  expect(await isWaiting(second)).toBe(true);
  expect(cache.isEmpty()).toBe(false);
  now += 500;
  await second;
  expect(cache.isEmpty()).toBe(true);
  await cache.setMounts(1);
  expect(cache.ttlMs()).toBe(250);
});

test('a second mount does not wait for a first one that was told nothing', async () => {
  const cache = createKernelCache({ mayBeKept: false, mounts: 1 }, clock);
  expect(await isWaiting(cache.setMounts(2))).toBe(false);
});

test('what an earlier process has told a mount may be kept', async () => {
  expect(await isWaiting(createKernelCache({ mayBeKept: true, mounts: 1 }, clock).share())).toBe(true);
  expect(await isWaiting(createKernelCache({ mayBeKept: true, mounts: 1 }, clock).setMounts(2))).toBe(true);
});

test('a change without a mount waits once, and the next ones do not', async () => {
  const cache = createKernelCache({ mayBeKept: false, mounts: 1 }, clock);
  cache.ttlMs();
  const first = cache.share();
  expect(cache.ttlMs()).toBe(0);
  expect(await isWaiting(first)).toBe(true);
  now += 500;
  (await first)[Symbol.dispose]();
  expect(cache.ttlMs()).toBe(0);
  expect(await isWaiting(cache.share().then((shared) => shared[Symbol.dispose]()))).toBe(false);
  now += 4999;
  expect(cache.ttlMs()).toBe(0);
  now += 1;
  expect(cache.ttlMs()).toBe(250);
});

test('a volume without a mount is changed at once', async () => {
  const cache = createKernelCache({ mayBeKept: true, mounts: 0 }, clock);
  expect(await isWaiting(cache.share())).toBe(false);
});
