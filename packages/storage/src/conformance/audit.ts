import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuditNote, AuditPlace } from '../records/audit.ts';
import { createApiKey } from '../records/first-start.ts';
import type { Records } from '../records/records.ts';
import { makeRecords, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of AuditRecords. */
export function describeAudit(name: string, open: OpenRecords): void {
  describe(`audit records in ${name}`, () => {
    let folder: string;
    let records: Records;
    let team: string;
    beforeEach(async () => {
      ({ folder, records, team } = await makeRecords(open));
    });
    afterEach(async () => {
      await removeRecords(folder, records);
    });

    const noteOf = (what: string, teamId = team): AuditNote => ({
      teamId,
      compose: (place: AuditPlace) => JSON.stringify({ what, ...place }),
    });
    const waiting = async (teamId = team) => await records.audit.listWaiting(teamId, 0, 10_000);
    const whats = async (): Promise<unknown[]> =>
      (await waiting()).map(({ text }) => (JSON.parse(text) as { what: string }).what);

    it('are numbered by team without gaps, also when many come at once', async () => {
      await Promise.all(Array.from({ length: 500 }, (_, index) => records.audit.append(noteOf(`n${index}`), Infinity)));
      await records.audit.append(noteOf('other', 'other'), Infinity);
      const rows = await waiting();
      expect(rows.map(({ seq }) => seq)).toEqual(rows.map((_, index) => index));
      expect(rows.map(({ writerSeq }) => writerSeq)).toEqual(rows.map((_, index) => index));
      expect(new Set(rows.map(({ writer }) => writer)).size).toBe(1);
      expect((await waiting('other')).map(({ seq }) => seq)).toEqual([0]);
      expect(await records.audit.findHead(team)).toMatchObject({ next: 500, origin: '' });
      expect((await records.audit.listHeads()).map(({ teamId }) => teamId).sort()).toEqual(['other', team].sort());
    });

    it('are refused when they would exceed the limit, and then leave no gap; their neighbors are stored', async () => {
      const large = { teamId: team, compose: () => 'x'.repeat(1000) };
      const outcomes = await Promise.allSettled([
        records.audit.append(noteOf('one'), 900),
        records.audit.append(large, 900),
        records.audit.append(noteOf('two'), 900),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      await expect(records.audit.append(large, 900)).rejects.toMatchObject({ reason: 'audit_log_full' });
      expect(await whats()).toEqual(['one', 'two']);
      expect((await records.audit.findHead(team))?.next).toBe(2);
    });

    it('whose text cannot be made are refused, and leave no gap', async () => {
      const broken = {
        teamId: team,
        compose: () => {
          throw new RangeError('too large');
        },
      };
      const outcomes = await Promise.allSettled([
        records.audit.append(broken, Infinity),
        records.audit.append(noteOf('after'), Infinity),
      ]);
      expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled']);
      expect((await waiting()).map(({ seq, writerSeq }) => [seq, writerSeq])).toEqual([[0, 0]]);
    });

    it('are committed together with the change of a key, or not at all', async () => {
      const { key, record } = await createApiKey(records, { id: team }, 'one', { noteOf: ({ id }) => noteOf(id) });
      expect(await whats()).toEqual([record.id]);
      await expect(records.apiKeys.create(record, key, noteOf('twice'))).rejects.toMatchObject({
        reason: 'name_taken',
      });
      expect(await records.apiKeys.rename(team, 'nobody', 'x', noteOf('renamed'))).toBe(false);
      expect(await records.apiKeys.remove(team, 'nobody', noteOf('removed'))).toBe(false);
      expect(await whats()).toEqual([record.id]);
      const broken = {
        teamId: team,
        compose: () => {
          throw new RangeError('too large');
        },
      };
      await expect(records.apiKeys.remove(team, record.id, broken)).rejects.toThrow(RangeError);
      expect(await records.apiKeys.find(team, record.id)).toBeDefined();
      expect(await records.apiKeys.remove(team, record.id, noteOf('removed'))).toBe(true);
      expect(await whats()).toEqual([record.id, 'removed']);
    });

    it('outlive their team', async () => {
      const gone = { id: 'gone', name: 'gone', isDefault: false, createdAt: 1 };
      await records.teams.create(gone, noteOf('created', 'gone'));
      expect(await records.teams.remove('gone', noteOf('deleted', 'gone'))).toBe(true);
      expect(await records.teams.remove('gone', noteOf('again', 'gone'))).toBe(false);
      expect(await waiting('gone')).toHaveLength(2);
    });

    it('are kept over a restart, and forgotten when the log has them', async () => {
      for (const what of ['a', 'b', 'c']) await records.audit.append(noteOf(what), Infinity);
      await records.audit.settle(team, 2);
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      expect(await whats()).toEqual(['c']);
      await records.audit.append(noteOf('d'), Infinity);
      expect((await waiting()).map(({ seq, writerSeq }) => [seq, writerSeq])).toEqual([
        [2, 2],
        [3, 3],
      ]);
      const before = (await records.audit.findHead(team))?.bytes ?? 0;
      await records.audit.release(team, 10);
      expect((await records.audit.findHead(team))?.bytes).toBe(before - 10);
    });

    it('get new numbers and a new writer when they do not match the log', async () => {
      for (const what of ['a', 'b', 'c']) await records.audit.append(noteOf(what), Infinity);
      const keep = (await waiting()).slice(1);
      const move = (text: string, place: AuditPlace): string =>
        JSON.stringify({ ...(JSON.parse(text) as object), ...place });
      await records.audit.align(team, { origin: 'log', size: 70, keep, writer: 'new', move });
      await records.audit.append(noteOf('d'), Infinity);
      expect((await waiting()).map(({ seq, writer, writerSeq }) => [seq, writer, writerSeq])).toEqual([
        [70, 'new', 0],
        [71, 'new', 1],
        [72, 'new', 2],
      ]);
      expect(await whats()).toEqual(['b', 'c', 'd']);
      expect(JSON.parse((await waiting())[0]?.text ?? '')).toMatchObject({ seq: 70, writer: 'new' });
      expect(await records.audit.findHead(team)).toMatchObject({ origin: 'log', next: 73 });
      await records.audit.align('unknown', { origin: 'log', size: 5, keep: [], writer: 'new', move });
      expect(await records.audit.findHead('unknown')).toMatchObject({ next: 5 });
    });

    describe('keys of subjects', () => {
      const key = (id: string) => ({
        id,
        sealed: `sealed-key-of-${id}-to-be-destroyed`,
      });

      it('are found by subject and by id, and the first one wins', async () => {
        expect(await records.audit.addSubjectKey(team, 'k1', key('one'))).toEqual(key('one'));
        expect(await records.audit.addSubjectKey(team, 'k1', key('two'))).toEqual(key('one'));
        expect(await records.audit.findSubjectKey(team, 'k1')).toEqual(key('one'));
        expect(await records.audit.findSubjectKeyById(team, 'one')).toEqual(key('one'));
        expect(await records.audit.findSubjectKey('other', 'k1')).toBeUndefined();
      });

      it('are destroyed together with the record of it, and none of their bytes is left in any file', async () => {
        for (const id of ['one', 'two']) await records.audit.addSubjectKey(team, id, key(id));
        expect(await records.audit.eraseSubjectKey('other', 'one', noteOf('wrong team'))).toBe(false);
        expect(await records.audit.eraseSubjectKey(team, 'one', noteOf('erased'))).toBe(true);
        expect(await records.audit.eraseSubjectKey(team, 'one', noteOf('again'))).toBe(false);
        expect(await whats()).toEqual(['erased']);
        const bytes = await Promise.all((await readdir(folder)).map((file) => readFile(join(folder, file))));
        expect(bytes.some((file) => file.includes('sealed-key-of-two'))).toBe(true);
        expect(bytes.some((file) => file.includes('sealed-key-of-one'))).toBe(false);
      });
    });

    it('legal holds are set, listed and ended with a record', async () => {
      const hold = { id: 'h1', teamId: team, reason: 'case-1', until: 7 };
      await records.audit.addHold(hold, noteOf('set'));
      expect([await records.audit.listHolds(team), await records.audit.listHolds('other')]).toEqual([[hold], []]);
      expect(await records.audit.removeHold(team, 'h2', noteOf('no'))).toBe(false);
      expect(await records.audit.removeHold('other', 'h1', noteOf('no'))).toBe(false);
      expect(await records.audit.removeHold(team, 'h1', noteOf('ended'))).toBe(true);
      expect(await whats()).toEqual(['set', 'ended']);
    });
  });
}
