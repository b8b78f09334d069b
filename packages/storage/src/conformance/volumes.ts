import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../records/records.ts';
import type { VolumeRecord } from '../records/volumes.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests of volumes for every implementation of Records. */
export function describeVolumes(name: string, open: OpenRecords): void {
  describe(`volumes in ${name}`, () => {
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

    const volume = (id: string, more: Partial<VolumeRecord> = {}): VolumeRecord => ({
      ...{ id, teamId: team, groupId: id, name: `name-${id}`, sizeMb: undefined, sourceId: undefined },
      ...{ isReadOnly: false, createdAt: 1, creationId: '', isUsed: false, ...more },
    });
    const create = async (id: string, more: Partial<VolumeRecord> = {}, limit = 9) =>
      await records.volumes.create(volume(id, more), limit);

    it('are found with all written values, also after a restart', async () => {
      expect(await create('a', { creationId: 'c1', sizeMb: 5 })).toBe('created');
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      const written = volume('a', { creationId: 'c1', sizeMb: 5 });
      expect(await records.volumes.find(team, 'a')).toEqual(written);
      expect(await records.volumes.findByName(team, 'name-a')).toEqual(written);
      expect(await records.volumes.findByCreation(team, 'c1')).toEqual(written);
    });

    it('belong to one team, in which their name is unique', async () => {
      await create('a');
      expect(await create('b', { name: 'name-a' })).toBe('name_taken');
      expect(await create('c', { name: 'name-a', teamId: 'other', creationId: 'c1' })).toBe('created');
      expect(await records.volumes.find('other', 'a')).toBeUndefined();
      expect((await records.volumes.findByName('other', 'name-a'))?.id).toBe('c');
      expect(await records.volumes.findByCreation(team, 'c1')).toBeUndefined();
      expect(await records.volumes.beginRemove('other', 'a')).toBe(false);
      expect((await records.volumes.list(team)).map(({ id }) => id)).toEqual(['a']);
    });

    it('are used from their first use on, also after a restart', async () => {
      await create('a');
      await create('b');
      await records.volumes.noteUse('a');
      await records.volumes.noteUse('a');
      await records.volumes.noteUse('missing');
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      expect(await records.volumes.find(team, 'a')).toEqual(volume('a', { isUsed: true }));
      expect((await records.volumes.listAll()).map(({ id, isUsed }) => [id, isUsed])).toEqual([
        ['a', true],
        ['b', false],
      ]);
    });

    it('without a repeatable request are found by none', async () => {
      await create('a');
      expect(await records.volumes.findByCreation(team, '')).toBeUndefined();
    });

    it('are listed oldest first', async () => {
      for (const [id, createdAt] of [
        ['c', 2],
        ['a', 3],
        ['b', 2],
      ] as const)
        await create(id, { createdAt });
      expect((await records.volumes.list(team)).map(({ id }) => id)).toEqual(['b', 'c', 'a']);
    });

    it('that are being deleted are gone for their team, and count until their contents are removed', async () => {
      await create('a', { creationId: 'c1' });
      await create('x', { teamId: 'other' });
      expect(await records.volumes.beginRemove(team, 'a')).toBe(true);
      expect(await records.volumes.beginRemove(team, 'a')).toBe(false);
      const { volumes } = records;
      expect([
        await volumes.find(team, 'a'),
        await volumes.findByName(team, 'name-a'),
        await volumes.findByCreation(team, 'c1'),
        await volumes.list(team),
      ]).toEqual([undefined, undefined, undefined, []]);
      expect(await volumes.listRemoving()).toEqual([{ id: 'a', teamId: team, groupId: 'a' }]);
      expect(await create('b', { name: 'name-a' }, 1)).toBe('limit_reached');
      await volumes.finishRemove('a');
      expect(await volumes.listRemoving()).toEqual([]);
      expect(await create('b', { name: 'name-a' }, 1)).toBe('created');
      await volumes.finishRemove('b');
      expect(await volumes.find(team, 'b')).toBeDefined();
    });

    it('that are copies are found when they are complete, and their name is taken before', async () => {
      const copy = { name: 'copy', groupId: 'a', sourceId: 'a', isReadOnly: true, creationId: 'c2' };
      const { volumes } = records;
      await create('a');
      expect(await volumes.beginCopy(volume('b', copy), 2)).toBe('created');
      expect(await create('c', { name: 'copy' })).toBe('name_taken');
      expect(await volumes.beginCopy(volume('c', copy), 9)).toBe('name_taken');
      expect(await create('c', {}, 2)).toBe('limit_reached');
      expect([await volumes.findByName(team, 'copy'), await volumes.findByCreation(team, 'c2')]).toEqual([
        undefined,
        undefined,
      ]);
      expect([await volumes.finishCopy('b'), await volumes.finishCopy('b')]).toEqual([true, false]);
      expect(await volumes.findByName(team, 'copy')).toEqual(volume('b', copy));
    });

    it('of all teams can be listed, without those that are not there yet or any more', async () => {
      const { volumes } = records;
      await create('a');
      await create('b', { teamId: 'other' });
      await create('c');
      await volumes.beginRemove(team, 'c');
      await volumes.beginCopy(volume('d', { groupId: 'a' }), 9);
      expect(await volumes.listAll()).toEqual([
        { id: 'a', teamId: team, groupId: 'a', isUsed: false },
        { id: 'b', teamId: 'other', groupId: 'b', isUsed: false },
      ]);
    });

    it('that are copies are listed until they are finished or given up, and are then removed', async () => {
      const { volumes } = records;
      await volumes.beginCopy(volume('b', { groupId: 'a' }), 9);
      await volumes.beginCopy(volume('c', { groupId: 'a' }), 9);
      await volumes.beginCopy(volume('e', { groupId: 'a' }), 9);
      await volumes.finishCopy('e');
      expect((await volumes.listCopying()).map(({ id }) => id)).toEqual(['b', 'c']);
      await volumes.giveUpCopy('b');
      expect(await volumes.listCopying()).toEqual([{ id: 'c', teamId: team, groupId: 'a' }]);
      expect(await volumes.finishCopy('b')).toBe(false);
      expect(await volumes.listRemoving()).toEqual([{ id: 'b', teamId: team, groupId: 'a' }]);
      await volumes.giveUpCopy('c');
      await volumes.giveUpCopy('e');
      expect((await volumes.listRemoving()).map(({ id }) => id)).toEqual(['b', 'c']);
      expect(await create('d', { name: 'name-c' })).toBe('created');
    });

    it('keep their team until their contents are removed', async () => {
      await create('a', { teamId: 'other' });
      expect((await records.teams.readHoldings('other')).volumes).toBe(1);
      expect(await records.teams.remove('other')).toBe(false);
      await records.volumes.beginRemove('other', 'a');
      expect(await records.teams.remove('other')).toBe(false);
      await records.volumes.finishRemove('a');
      expect(await records.teams.remove('other')).toBe(true);
    });

    it('are changed together with the note of it; without a change there is none', async () => {
      const notes: string[] = [];
      const note = (what: string) => ({ teamId: team, compose: () => (notes.push(what), what) });
      await records.volumes.create(volume('a'), 1, note('create'));
      await records.volumes.create(volume('b', { name: 'name-a' }), 9, note('taken'));
      await records.volumes.create(volume('b'), 1, note('over the limit'));
      await records.volumes.beginRemove('other', 'a', note('of another team'));
      await records.volumes.beginRemove(team, 'a', note('delete'));
      await records.volumes.beginRemove(team, 'a', note('again'));
      expect(notes).toEqual(['create', 'delete']);
    });
  });
}
