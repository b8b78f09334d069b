import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { measureLoopLag } from './loop-lag.ts';

test('a blocked event loop is noticed, and a free one shows no lag', async () => {
  using stop = { controller: new AbortController(), [Symbol.dispose]: () => stop.controller.abort() };
  const lag = measureLoopLag(stop.controller.signal);
  await sleep(1000);
  const until = performance.now() + 300;
  while (performance.now() < until);
  await sleep(200);
  const { p50, max } = lag.read();
  expect(max).toBeGreaterThan(0.2);
  expect(p50).toBeLessThan(0.15);
});
