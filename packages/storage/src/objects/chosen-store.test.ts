import { afterAll, describe, expect, test } from 'vitest';
import { describeObjects } from '../conformance/objects.ts';
import { findChosenStore } from '../testing/chosen-store.ts';
import { passLargeObject } from '../testing/sizes.ts';

// The contract on a store of the developer, such as a real cloud.
const chosen = findChosenStore(process.env);
const largeMib = 64;

if (chosen === undefined) test('a store of your own', ({ skip }) => skip('SOULBOX_TEST_STORAGE is not set'));
else
  describe(`the store ${chosen.url}`, () => {
    afterAll(async () => await chosen.clear(), 600_000);

    describeObjects('it', { open: (prefix) => chosen.open(prefix), lacks: chosen.lacks });

    test('a large object comes back as it was written', { timeout: 600_000 }, async () => {
      await using store = await chosen.open('large/');
      await passLargeObject(store, largeMib);
      expect((await store.list()).objects).toEqual([]);
    });
  });
