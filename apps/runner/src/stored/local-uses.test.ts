import { expect, test } from 'vitest';
import { createLocalUses } from './local-uses.ts';

test('what was used after the time is not removed', async () => {
  let now = 10;
  const uses = createLocalUses(() => now);
  await uses.use('states/a');
  const removed: string[] = [];
  const remove = async (): Promise<void> => {
    await Promise.resolve(removed.push('a'));
  };
  expect(await uses.removeUnused('states/a', 9, remove)).toBe(false);
  now = 20;
  expect(await uses.removeUnused('states/a', 10, remove)).toBe(true);
  expect(removed).toEqual(['a']);
  expect(uses.lastUseMs('states/a')).toBeUndefined();
});

test('who uses it during its removal waits for the end, and it is removed once', async () => {
  const uses = createLocalUses(() => 5);
  const removal = Promise.withResolvers<undefined>();
  const first = uses.removeUnused('layers/l', 4, async () => await removal.promise);
  expect(await uses.removeUnused('layers/l', 4, async () => await Promise.reject(new Error('twice')))).toBe(false);
  let isOver = false;
  const use = uses.use('layers/l').then(() => (isOver = true));
  await new Promise((done) => setTimeout(done, 10));
  expect(isOver).toBe(false);
  removal.resolve(undefined);
  await Promise.all([first, use]);
  // The use is newer than the removal.
  expect(uses.lastUseMs('layers/l')).toBe(5);
});

test('a removal that fails is told, and does not hold up others', async () => {
  const uses = createLocalUses(() => 5);
  await expect(uses.removeUnused('states/a', 9, async () => await Promise.reject(new Error('no')))).rejects.toThrow(
    'no',
  );
  await uses.use('states/a');
});
