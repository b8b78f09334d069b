import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KvEntry } from '../records/kv.ts';
import type { Records } from '../records/records.ts';
import { makeRecords, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

const limits = { keys: 100, sizeBytes: 1000, teamBytes: 10_000 };

/** Tests for every implementation of KvRecords. */
export function describeKv(name: string, open: OpenRecords): void {
  describe(`key-value namespaces in ${name}`, () => {
    let folder: string;
    let records: Records;
    let team: string;

    beforeEach(async () => {
      ({ folder, records, team } = await makeRecords(open));
      await ensure('n1', 'first');
    });
    afterEach(async () => {
      await removeRecords(folder, records);
    });

    const ensure = (id: string, namespace: string, limit = 10) =>
      records.kv.ensureNamespace({ id, teamId: team, name: namespace, createdAt: 1 }, limit);
    const entry = (key: string, more: Partial<KvEntry> = {}): KvEntry => ({
      ...{ key, blobKey: `blob-${key.length}`, sizeBytes: 10, metadata: undefined, expiresAt: undefined, ...more },
    });
    const put = (key: string, more: Partial<KvEntry> = {}, bounds = limits) =>
      records.kv.put('n1', entry(key, more), bounds);
    const keysOf = async (more: { prefix?: string; after?: string; limit?: number; now?: number } = {}) =>
      (await records.kv.list('n1', { prefix: '', after: undefined, limit: 100, now: 0, ...more })).map(
        ({ key }) => key,
      );

    it('are created once per name, up to a limit', async () => {
      expect((await ensure('n2', 'first'))?.id).toBe('n1');
      expect(await ensure('n2', 'second', 1)).toBeUndefined();
      expect((await ensure('n2', 'second'))?.id).toBe('n2');
      expect((await records.kv.listNamespaces(team)).map((namespace) => namespace.name)).toEqual(['first', 'second']);
    });

    it('keep entries with metadata, and count their content', async () => {
      const wanted = entry('ä/ö %_', { metadata: '{"a":"é"}', expiresAt: 50 });
      expect(await records.kv.put('n1', wanted, limits)).toEqual({ done: true, replaced: undefined });
      expect(await records.kv.get('n1', wanted.key, 49)).toEqual(wanted);
      expect(await records.kv.get('n1', wanted.key, 50)).toBeUndefined();
      expect(await put(wanted.key, { blobKey: 'new', sizeBytes: 4 })).toEqual({ done: true, replaced: wanted.blobKey });
      expect(await records.kv.listNamespaces(team)).toMatchObject([{ keyCount: 1, sizeBytes: 4 }]);
      expect(await records.kv.remove('n1', wanted.key)).toBe('new');
      expect(await records.kv.remove('n1', wanted.key)).toBeUndefined();
      expect(await records.kv.listNamespaces(team)).toMatchObject([{ keyCount: 0, sizeBytes: 0 }]);
    });

    it('refuse entries that would exceed the limits; a replacement counts the difference', async () => {
      await put('a', { sizeBytes: 900 });
      expect(await put('b', { sizeBytes: 101 })).toEqual({ done: false, why: 'full' });
      expect(await put('a', { sizeBytes: 1000 })).toMatchObject({ done: true });
      expect(await put('b', { sizeBytes: 0 }, { ...limits, keys: 1, sizeBytes: 5000 })).toEqual({
        done: false,
        why: 'full',
      });
      // The limit covers all namespaces of the team together; reducing the use is always allowed.
      const tight = { ...limits, teamBytes: 500 };
      expect(await put('b', { sizeBytes: 1 }, { ...tight, sizeBytes: 5000 })).toEqual({
        done: false,
        why: 'team_full',
      });
      expect(await put('a', { sizeBytes: 600 }, tight)).toMatchObject({ done: true });
      expect(await records.kv.put('nowhere', entry('a'), limits)).toEqual({ done: false, why: 'gone' });
    });

    it('list by the bytes of keys, by prefix and in pages; expired entries are left out', async () => {
      for (const key of ['b', 'a%', 'aa', 'a_', 'é', '😀', 'a']) await put(key);
      await put('ab', { expiresAt: 5 });
      expect(await keysOf({ now: 5 })).toEqual(['a', 'a%', 'a_', 'aa', 'b', 'é', '😀']);
      expect(await keysOf({ prefix: 'a' })).toEqual(['a', 'a%', 'a_', 'aa', 'ab']);
      expect(await keysOf({ prefix: 'a_' })).toEqual(['a_']);
      expect(await keysOf({ prefix: 'a', after: 'a%', limit: 2 })).toEqual(['a_', 'aa']);
      expect(await keysOf({ prefix: '😀' })).toEqual(['😀']);
    });

    it('return the blobs of expired and removed entries', async () => {
      await put('a', { blobKey: 'one', expiresAt: 5 });
      await put('b', { blobKey: 'two', expiresAt: 9 });
      await put('c', { blobKey: 'three' });
      expect(await records.kv.findUnused(['one', 'four', 'three'])).toEqual(['four']);
      expect(await records.kv.removeExpired(5, 10)).toEqual(['one']);
      expect(await records.kv.removeNamespace(team, 'first')).toEqual(['two', 'three']);
      expect(await records.kv.removeNamespace(team, 'first')).toBeUndefined();
      expect(await keysOf()).toEqual([]);
    });
  });
}
