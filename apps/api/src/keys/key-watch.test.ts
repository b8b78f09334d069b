import { SoulBoxError } from '@soulbox/base';
import { expect, it } from 'vitest';
import { createKeyWatch } from './key-watch.ts';

it('forgets a key that has ended, whoever still holds its streams', async () => {
  const keyWatch = createKeyWatch();
  const looks: string[] = [];
  const watch = (name: string) =>
    keyWatch.watch({
      id: 'k1',
      findEnd: () => {
        looks.push(name);
        return Promise.resolve(new SoulBoxError('unauthorized', 'It was revoked.'));
      },
    });
  const first = watch('first');
  await expect.poll(() => first.signal.aborted, { timeout: 3000 }).toBe(true);
  const second = watch('second');
  // The end of the earlier stream leaves the later one of the same key alone.
  first[Symbol.dispose]();
  await expect.poll(() => second.signal.aborted, { timeout: 3000 }).toBe(true);
  expect(looks).toEqual(['first', 'second']);
});
