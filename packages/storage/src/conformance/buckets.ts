import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BucketRecord, NewBucket } from '../records/buckets.ts';
import type { Records } from '../records/records.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of BucketRecords. */
export function describeBuckets(name: string, open: OpenRecords): void {
  describe(`buckets in ${name}`, () => {
    let folder: string;
    let records: Records;
    let team: string;

    beforeEach(async () => {
      ({ folder, records, team } = await makeRecords(open));
      await records.teams.create(otherTeam);
    });
    afterEach(async () => {
      await removeRecords(folder, records);
    });

    const bucket = (id: string, more: Partial<NewBucket> = {}): NewBucket => ({
      ...{ id, teamId: team, name: `name-${id}`, url: 's3://bucket/ä/', sealedCredentials: `sealed ${id}` },
      ...{ isReadOnly: false, createdAt: 1, updatedAt: 1, ...more },
    });
    const written = (id: string, more: Partial<BucketRecord> = {}): BucketRecord => {
      const { sealedCredentials, ...facts } = bucket(id);
      return { ...facts, hasCredentials: sealedCredentials !== '', ...more };
    };
    const create = async (id: string, more: Partial<NewBucket> = {}, limit = 100) =>
      await records.buckets.create(bucket(id, more), limit);
    const unchanged = { sealedCredentials: undefined, isReadOnly: undefined };

    it('are found by id and by name, with all written values, also after a restart', async () => {
      expect(await create('a', { isReadOnly: true })).toBe('created');
      expect(await create('b', { sealedCredentials: '' })).toBe('created');
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      expect(await records.buckets.findById(team, 'a')).toEqual(written('a', { isReadOnly: true }));
      expect(await records.buckets.findByName(team, 'name-b')).toEqual(written('b', { hasCredentials: false }));
      expect(await records.buckets.findSealedCredentials(team, 'a')).toBe('sealed a');
      expect(await records.buckets.findSealedCredentials(team, 'b')).toBe('');
    });

    it('belong to one team, in which their name is unique', async () => {
      const { buckets } = records;
      await create('a');
      expect(await create('b', { name: 'name-a' })).toBe('name_taken');
      expect(await create('c', { name: 'name-a', teamId: 'other' })).toBe('created');
      expect((await buckets.findByName('other', 'name-a'))?.id).toBe('c');
      expect([
        await buckets.findById('other', 'a'),
        await buckets.findSealedCredentials('other', 'a'),
        await buckets.change({ teamId: 'other', id: 'a', ...unchanged, isReadOnly: true, now: 2 }),
      ]).toEqual([undefined, undefined, undefined]);
      expect(await buckets.remove('other', 'a')).toBe(false);
      expect(await buckets.findById(team, 'a')).toEqual(written('a'));
    });

    it('are limited per team', async () => {
      expect(await create('a', {}, 1)).toBe('created');
      expect(await create('b', {}, 1)).toBe('limit_reached');
      expect(await create('c', { teamId: 'other' }, 1)).toBe('created');
    });

    it('are listed newest first, by page, each once', async () => {
      for (const [id, createdAt] of [
        ['a', 1],
        ['b', 2],
        ['c', 2],
        ['d', 3],
        ['e', 3],
      ] as const)
        await create(id, { createdAt });
      await create('x', { teamId: 'other', createdAt: 2 });
      const read: string[] = [];
      let after: Awaited<ReturnType<typeof records.buckets.list>>['next'];
      do {
        const page = await records.buckets.list({ teamId: team, after, limit: 2 });
        read.push(...page.buckets.map(({ id }) => id));
        after = page.next;
      } while (after !== undefined);
      expect(read).toEqual(['e', 'd', 'c', 'b', 'a']);
    });

    it('get other credentials, none, or another permission to write, and keep the rest', async () => {
      const { buckets } = records;
      await create('a');
      const change = { teamId: team, id: 'a', ...unchanged };
      expect(await buckets.change({ ...change, sealedCredentials: 'new', now: 2 })).toEqual(
        written('a', { updatedAt: 2 }),
      );
      expect(await buckets.findSealedCredentials(team, 'a')).toBe('new');
      expect(await buckets.change({ ...change, isReadOnly: true, now: 3 })).toEqual(
        written('a', { isReadOnly: true, updatedAt: 3 }),
      );
      expect(await buckets.findSealedCredentials(team, 'a')).toBe('new');
      expect(await buckets.change({ ...change, sealedCredentials: '', isReadOnly: false, now: 4 })).toEqual(
        written('a', { hasCredentials: false, updatedAt: 4 }),
      );
      expect(await buckets.findSealedCredentials(team, 'a')).toBe('');
    });

    it('are changed together with the note of it; without a change there is none', async () => {
      const { buckets } = records;
      const notes: string[] = [];
      const note = (what: string) => ({ teamId: team, compose: () => (notes.push(what), what) });
      await buckets.create(bucket('a'), 1, note('create'));
      await buckets.create(bucket('b', { name: 'name-a' }), 9, note('taken'));
      await buckets.create(bucket('b'), 1, note('over the limit'));
      const change = { teamId: team, id: 'a', ...unchanged, isReadOnly: true, now: 2 };
      await buckets.change(change, note('change'));
      await buckets.change({ ...change, id: 'x' }, note('of none'));
      await buckets.remove('other', 'a', note('of another team'));
      const failing = {
        teamId: team,
        compose: () => {
          throw new Error('no record');
        },
      };
      await expect(buckets.change({ ...change, isReadOnly: false }, failing)).rejects.toThrow('no record');
      await expect(buckets.remove(team, 'a', failing)).rejects.toThrow('no record');
      expect(await buckets.findById(team, 'a')).toMatchObject({ isReadOnly: true });
      await buckets.remove(team, 'a', note('delete'));
      await buckets.remove(team, 'a', note('again'));
      expect(notes).toEqual(['create', 'change', 'delete']);
      expect((await records.audit.listWaiting(team, 0, 9)).map(({ text }) => text)).toEqual(notes);
    });

    it('are removed with their team, which they do not keep', async () => {
      await create('a');
      await create('c', { teamId: 'other' });
      expect(await records.buckets.remove(team, 'a')).toBe(true);
      expect(await records.buckets.findSealedCredentials(team, 'a')).toBeUndefined();
      expect(await records.teams.remove('other')).toBe(true);
      expect(await records.buckets.findSealedCredentials('other', 'c')).toBeUndefined();
    });
  });
}
