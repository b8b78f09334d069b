import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../records/records.ts';
import type { SnapshotListQuery, SnapshotRecord } from '../records/snapshots.ts';
import { facts } from './facts.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of SnapshotRecords. */
export function describeSnapshots(name: string, open: OpenRecords): void {
  describe(`snapshots in ${name}`, () => {
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

    const intent = (id: string, more: Partial<SnapshotRecord> = {}) => ({
      ...{ id, teamId: team, sandboxId: 'ia', templateId: 'tbase', name: '', tag: 'default', createdAt: 1 },
      ...{ cpuCount: 2, memoryMb: 1024, diskSizeMb: 10_240, isolation: 'container', ...more },
    });
    const begin = (id: string, more: Partial<SnapshotRecord> = {}, limit = 100) =>
      records.snapshots.begin(intent(id, more), limit);
    const make = async (id: string, createdAt: number, more: Partial<SnapshotRecord> = {}) => {
      await begin(id, more);
      return records.snapshots.complete(id, { createdAt, sizeBytes: 5 });
    };
    const idsOf = async (more: Partial<SnapshotListQuery> = {}): Promise<string[]> => {
      const all = { teamId: team, sandboxId: undefined, name: undefined, tag: undefined, after: undefined, limit: 100 };
      return (await records.snapshots.list({ ...all, ...more })).snapshots.map((snapshot) => snapshot.id);
    };

    it('are visible once they are complete, also after a restart', async () => {
      await begin('s1', { name: 'mine' });
      expect(await idsOf()).toEqual([]);
      expect(await records.snapshots.findById(team, 's1')).toBeUndefined();
      expect(await records.snapshots.complete('s1', { createdAt: 9, sizeBytes: 5 })).toEqual([]);
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      const expected = { ...intent('s1', { name: 'mine' }), createdAt: 9, sizeBytes: 5, state: 'ready' };
      expect(await records.snapshots.findById(team, 's1')).toEqual(expected);
      expect(await records.snapshots.findByName(team, 'mine', 'default')).toEqual(expected);
    });

    it('cannot be completed twice, nor without an intent', async () => {
      await make('s1', 1);
      expect(await records.snapshots.complete('s1', { createdAt: 2, sizeBytes: 6 })).toBeUndefined();
      expect(await records.snapshots.complete('s9', { createdAt: 2, sizeBytes: 6 })).toBeUndefined();
    });

    it('write the event of a checkpoint with the row, if the sandbox is still known', async () => {
      await records.sandboxes.put(facts('ia', team, 1), 1);
      await make('s1', 7);
      await make('s2', 8, { sandboxId: 'igone' });
      const query = { teamId: team, sandboxId: undefined, types: [], after: 1, offset: 0, limit: 10, maxChars: 1e6 };
      expect((await records.events.list({ ...query, order: 'asc' })).events).toMatchObject([
        { type: 'sandbox.lifecycle.checkpointed', sandboxId: 'ia', snapshotId: 's1', at: 7 },
      ]);
    });

    it('count against the limit from the intent on, and no longer while they are being deleted', async () => {
      expect(await begin('s1', {}, 1)).toBe(true);
      expect(await begin('s2', {}, 1)).toBe(false);
      expect(await begin('s3', { teamId: 'other' }, 1)).toBe(true);
      await records.snapshots.beginDelete('s1');
      expect(await begin('s2', {}, 1)).toBe(true);
      await expect(begin('s2', {})).rejects.toMatchObject({ reason: 'name_taken' });
    });

    it('never exceed the limit, even if many begin at once', async () => {
      const results = await Promise.all(Array.from({ length: 50 }, (_, index) => begin(`s${index}`, {}, 20)));
      expect(results.filter(Boolean)).toHaveLength(20);
    });

    it('pass on their name: the earlier one is hidden and returned for deletion', async () => {
      await make('s1', 1, { name: 'mine' });
      await make('s2', 2, { name: 'mine', tag: 'v2' });
      await make('s3', 3, { name: 'mine', teamId: 'other' });
      expect(await make('s4', 4, { name: 'mine' })).toEqual(['s1']);
      expect((await records.snapshots.findByName(team, 'mine', 'default'))?.id).toBe('s4');
      expect((await records.snapshots.findByName(team, 'mine', 'v2'))?.id).toBe('s2');
      expect(await records.snapshots.findById(team, 's1')).toBeUndefined();
      expect((await records.snapshots.listAll()).find((row) => row.id === 's1')?.state).toBe('deleting');
    });

    it('without a name are not found by an empty one', async () => {
      await make('s1', 1);
      expect(await records.snapshots.findByName(team, '', 'default')).toBeUndefined();
    });

    it('belong to one team', async () => {
      await make('s1', 1, { name: 'mine' });
      expect(await records.snapshots.findById('other', 's1')).toBeUndefined();
      expect(await records.snapshots.findByName('other', 'mine', 'default')).toBeUndefined();
      expect(await idsOf({ teamId: 'other' })).toEqual([]);
    });

    it('are filtered by sandbox, name and tag, and paged newest first without gaps', async () => {
      for (let n = 10; n < 35; n++)
        await make(`s${n}`, Math.floor(n / 4), { sandboxId: n % 2 === 0 ? 'ia' : 'ib', name: `n${n}` });
      expect(await idsOf({ sandboxId: 'ia' })).toHaveLength(13);
      expect(await idsOf({ name: 'n11' })).toEqual(['s11']);
      expect(await idsOf({ name: 'n11', tag: 'v2' })).toEqual([]);
      const seen: string[] = [];
      let after: SnapshotListQuery['after'];
      const query = { teamId: team, sandboxId: undefined, name: undefined, tag: undefined, limit: 4 };
      do {
        const page = await records.snapshots.list({ ...query, after });
        seen.push(...page.snapshots.map((snapshot) => snapshot.id));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(Array.from({ length: 25 }, (_, index) => `s${34 - index}`));
    });

    it('are deleted by only one caller, are restored if that fails, and are gone when it is done', async () => {
      await make('s1', 1, { name: 'mine' });
      expect(await records.snapshots.beginDelete('s1')).toBe(true);
      expect(await records.snapshots.beginDelete('s1')).toBe(false);
      expect(await idsOf()).toEqual([]);
      await records.snapshots.abandonDelete('s1');
      expect(await idsOf()).toEqual(['s1']);
      await records.snapshots.beginDelete('s1');
      await make('s2', 2, { name: 'mine' });
      // The name has a new owner: the deletion cannot be undone.
      await records.snapshots.abandonDelete('s1');
      expect(await idsOf()).toEqual(['s2']);
      await records.snapshots.remove('s1');
      expect(await records.snapshots.listAll()).toHaveLength(1);
    });

    it('that only the runner knows are adopted once, for an existing team', async () => {
      const found = { ...intent('s1'), sizeBytes: 3 };
      expect(await records.snapshots.adopt(found)).toBe(true);
      expect(await records.snapshots.adopt(found)).toBe(false);
      expect(await records.snapshots.adopt({ ...found, id: 's2', teamId: 'nobody' })).toBe(false);
      expect(await idsOf()).toEqual(['s1']);
    });
  });
}
