import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { waitUntilReleased } from './loop-devices.ts';

test('hundreds of ends at once keep few files open, however many loop devices there are', async () => {
  const ends = 200;
  const before = readdirSync('/proc/self/fd').length;
  let most = 0;
  let areDone = false;
  const watching = (async () => {
    while (!areDone) {
      most = Math.max(most, readdirSync('/proc/self/fd').length - before);
      await sleep(1);
    }
  })();
  const all = await Promise.all(
    Array.from({ length: ends }, async (_, index) => await waitUntilReleased(`/no/such/image-${index}`, undefined)),
  );
  areDone = true;
  await watching;
  expect(all.every(Boolean)).toBe(true);
  expect(most).toBeLessThanOrEqual(ends + 10);
});
