import { expect, test } from 'vitest';
import { createLookups } from './lookups.ts';

test('a team whose names are answered slowly leaves room for others, and gets its own back', async () => {
  const waiting: (() => void)[] = [];
  let asked = 0;
  using lookups = createLookups({
    ask: async (name) => {
      asked += 1;
      if (name.endsWith('.slow.example')) await new Promise<void>((resolve) => waiting.push(resolve));
      return undefined;
    },
    isOpen: () => true,
  });
  const slow = Array.from({ length: 1100 }, async (_, n) => await lookups.find('one', `n${n}.slow.example`, 'A'));
  expect(asked).toBe(128);
  await lookups.find('two', 'a.example', 'A');
  expect(asked).toBe(129);
  for (const answer of waiting) answer();
  await Promise.all(slow);
  await lookups.find('one', 'a.example', 'A');
  expect(asked).toBe(130);
});
