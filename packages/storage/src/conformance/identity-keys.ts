import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../records/records.ts';
import { makeRecords, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for the keys of workload identities. */
export function describeIdentityKeys(name: string, open: OpenRecords): void {
  describe(`identity keys in ${name}`, () => {
    let folder: string;
    let records: Records;
    beforeEach(async () => {
      ({ folder, records } = await makeRecords(open));
    });
    afterEach(async () => {
      await removeRecords(folder, records);
    });
    const key = (id: string, createdAt: number) => ({
      ...{ id, createdAt, signsFrom: createdAt + 5, endsAt: undefined },
      ...{ publicJwk: `{"kid":"${id}"}`, sealedPrivateKey: `sb1.${id}` },
    });

    it('a key is added once, and ends the one before', async () => {
      const { identityKeys } = records;
      expect(await identityKeys.add(key('a', 1), undefined, 0)).toBe(true);
      expect(await identityKeys.add(key('b', 2), undefined, 0)).toBe(false);
      expect(await identityKeys.add(key('b', 2), 'other', 0)).toBe(false);
      expect(await identityKeys.list()).toEqual([key('a', 1)]);
      expect(await identityKeys.add(key('c', 3), 'a', 50)).toBe(true);
      expect(await identityKeys.list()).toEqual([key('c', 3), { ...key('a', 1), endsAt: 50 }]);
    });

    it('only keys that have ended are purged', async () => {
      const { identityKeys } = records;
      await identityKeys.add(key('a', 1), undefined, 0);
      await identityKeys.add(key('b', 2), 'a', 50);
      expect(await identityKeys.purge(50, 10)).toBe(0);
      expect(await identityKeys.purge(51, 10)).toBe(1);
      expect((await identityKeys.list()).map(({ id }) => id)).toEqual(['b']);
    });
  });
}
