import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../records/records.ts';
import type { NewSecretVersion, SecretRecord } from '../records/secrets.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of SecretRecords. */
export function describeSecrets(name: string, open: OpenRecords): void {
  describe(`secrets in ${name}`, () => {
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

    const secret = (id: string, more: Partial<SecretRecord> = {}): SecretRecord => ({
      ...{
        id,
        teamId: team,
        name: `name-${id}`,
        currentVersion: 1,
        metadata: { k: 'ä' },
        hosts: ['a.example', '*.b.example'],
      },
      ...{ createdAt: 1, updatedAt: 1 },
      ...more,
    });
    const create = (id: string, more: Partial<SecretRecord> = {}, limit = 100) =>
      records.secrets.create(secret(id, more), `sealed ${id}`, limit);
    const add = (number: number, more: Partial<NewSecretVersion> = {}) =>
      records.secrets.addVersion({
        ...{
          teamId: team,
          id: 'a',
          number,
          sealedValue: `sealed ${number}`,
          metadata: undefined,
          now: number,
          keep: 3,
        },
        ...more,
      });

    it('are found by id and by name, with all written values, also after a restart', async () => {
      expect(await create('a')).toBe('created');
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      expect(await records.secrets.findById(team, 'a')).toEqual(secret('a'));
      expect(await records.secrets.findByName(team, 'name-a')).toEqual(secret('a'));
      expect(await records.secrets.findSealedValue('a', 1)).toBe('sealed a');
    });

    it('belong to one team, in which their name is unique', async () => {
      await create('a');
      expect(await create('b', { name: 'name-a' })).toBe('name_taken');
      expect(await create('c', { name: 'name-a', teamId: 'other' })).toBe('created');
      expect(await records.secrets.findById('other', 'a')).toBeUndefined();
      expect((await records.secrets.findByName('other', 'name-a'))?.id).toBe('c');
      expect(await add(2, { teamId: 'other' })).toBeUndefined();
      expect(await records.secrets.remove('other', 'a')).toBe(false);
      expect(await records.secrets.findSealedValue('b', 1)).toBeUndefined();
    });

    it('are changed together with the note of it; without a change there is none', async () => {
      const notes: string[] = [];
      const note = (what: string) => ({ teamId: team, compose: () => (notes.push(what), what) });
      await records.secrets.create(secret('a'), 'x', 1, note('create'));
      await records.secrets.create(secret('b', { name: 'name-a' }), 'x', 9, note('taken'));
      await records.secrets.create(secret('b'), 'x', 1, note('over the limit'));
      const version = { teamId: team, id: 'a', sealedValue: 'x', metadata: undefined, now: 1, keep: 3 };
      await records.secrets.addVersion({ ...version, number: 2 }, note('update'));
      await records.secrets.addVersion({ ...version, number: 2 }, note('too late'));
      await records.secrets.remove('other', 'a', note('of another team'));
      const failing = {
        teamId: team,
        compose: () => {
          throw new Error('no record');
        },
      };
      await expect(records.secrets.remove(team, 'a', failing)).rejects.toThrow('no record');
      expect(await records.secrets.findById(team, 'a')).toMatchObject({ currentVersion: 2 });
      await records.secrets.remove(team, 'a', note('delete'));
      await records.secrets.remove(team, 'a', note('again'));
      expect(notes).toEqual(['create', 'update', 'delete']);
      expect((await records.audit.listWaiting(team, 0, 9)).map(({ text }) => text)).toEqual(notes);
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
      let after: Awaited<ReturnType<typeof records.secrets.list>>['next'];
      do {
        const page = await records.secrets.list({ teamId: team, after, limit: 2 });
        read.push(...page.secrets.map(({ id }) => id));
        after = page.next;
      } while (after !== undefined);
      expect(read).toEqual(['e', 'd', 'c', 'b', 'a']);
    });

    it('get versions in order, one for each number, and keep the newest', async () => {
      await create('a');
      expect(await add(2)).toEqual(secret('a', { currentVersion: 2, updatedAt: 2 }));
      expect(await add(2)).toBeUndefined();
      expect(await add(4)).toBeUndefined();
      expect(await add(3, { metadata: {} })).toMatchObject({ currentVersion: 3, metadata: {} });
      await add(4);
      const kept = await Promise.all([1, 2, 3, 4].map((number) => records.secrets.findSealedValue('a', number)));
      expect(kept).toEqual([undefined, 'sealed 2', 'sealed 3', 'sealed 4']);
    });

    it('keep their hosts when they get a version, and have others when they are set, in their team only', async () => {
      await create('a');
      expect(await add(2)).toMatchObject({ hosts: ['a.example', '*.b.example'] });
      const notes: string[] = [];
      const note = { teamId: team, compose: () => (notes.push('hosts'), 'hosts') };
      const change = { teamId: team, id: 'a', hosts: ['c.example'], now: 9 };
      expect(await records.secrets.setHosts({ ...change, teamId: 'other' }, note)).toBeUndefined();
      expect(notes).toEqual([]);
      const changed = secret('a', { currentVersion: 2, hosts: ['c.example'], updatedAt: 9 });
      expect(await records.secrets.setHosts(change, note)).toEqual(changed);
      expect(await records.secrets.findByName(team, 'name-a')).toEqual(changed);
      expect(notes).toEqual(['hosts']);
    });

    it('are removed with their versions, also when their team is removed', async () => {
      await create('a');
      await create('c', { teamId: 'other' });
      expect(await records.secrets.remove(team, 'a')).toBe(true);
      expect(await records.secrets.remove(team, 'a')).toBe(false);
      await records.teams.remove('other');
      expect(await records.secrets.findById('other', 'c')).toBeUndefined();
      expect(await records.secrets.findSealedValue('a', 1)).toBeUndefined();
      expect(await records.secrets.findSealedValue('c', 1)).toBeUndefined();
    });
  });
}
