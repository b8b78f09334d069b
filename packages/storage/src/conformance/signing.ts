import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Records } from '../records/records.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for the keys of signed URLs and their nonces. */
export function describeSigning(name: string, open: OpenRecords): void {
  describe(`records of signed URLs in ${name}`, () => {
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

    describe('signing keys', () => {
      const key = (id: string, createdAt: number, teamId = team) => ({ id, teamId, createdAt });

      it('are created when the first is needed, one for each team', async () => {
        const { signingKeys } = records;
        expect(await signingKeys.ensureActive(key('s1', 1))).toEqual({ ...key('s1', 1), endsAt: undefined });
        expect((await signingKeys.ensureActive(key('s2', 2))).id).toBe('s1');
        expect((await signingKeys.ensureActive(key('s3', 3, 'other'))).id).toBe('s3');
        expect((await signingKeys.list(team)).map(({ id }) => id)).toEqual(['s1']);
        expect((await signingKeys.find('s3'))?.teamId).toBe('other');
        expect(await signingKeys.find("' OR 1=1 --")).toBeUndefined();
      });

      it('overlap after a rotation, and never end later than they would have', async () => {
        const { signingKeys } = records;
        await signingKeys.ensureActive(key('s1', 1));
        await signingKeys.ensureActive(key('o1', 1, 'other'));
        expect(await signingKeys.rotate(key('s2', 10), 100, 3)).toBe(true);
        expect(await signingKeys.rotate(key('s3', 20), 200, 3)).toBe(true);
        expect((await signingKeys.list(team)).map(({ id, endsAt }) => [id, endsAt])).toEqual([
          ['s3', undefined],
          ['s2', 200],
          ['s1', 100],
        ]);
        expect((await signingKeys.ensureActive(key('s4', 30))).id).toBe('s3');
        expect((await signingKeys.find('o1'))?.endsAt).toBeUndefined();
      });

      it('are limited: a further rotation changes nothing until a key has ended', async () => {
        const { signingKeys } = records;
        await signingKeys.ensureActive(key('s1', 1));
        await signingKeys.rotate(key('s2', 10), 100, 2);
        expect(await signingKeys.rotate(key('s3', 20), 200, 2)).toBe(false);
        expect((await signingKeys.find('s2'))?.endsAt).toBeUndefined();
        expect(await signingKeys.rotate(key('s3', 100), 200, 2)).toBe(true);
      });

      it('end for their own team only, and are purged after their end', async () => {
        const { signingKeys } = records;
        await signingKeys.ensureActive(key('s1', 1));
        expect(await signingKeys.end('other', 's1', 5)).toBe(false);
        expect(await signingKeys.end(team, 's1', 5)).toBe(true);
        expect(await signingKeys.end(team, 's1', 50)).toBe(true);
        expect((await signingKeys.find('s1'))?.endsAt).toBe(5);
        expect((await signingKeys.ensureActive(key('s2', 6))).id).toBe('s2');
        expect([await signingKeys.purge(5, 10), await signingKeys.purge(6, 10)]).toEqual([0, 1]);
        expect((await signingKeys.list(team)).map(({ id }) => id)).toEqual(['s2']);
      });

      it('and the use of a nonce are changed together with the note of it; without a change there is none', async () => {
        const notes: string[] = [];
        const note = (what: string) => ({ teamId: team, compose: () => (notes.push(what), what) });
        await records.signingKeys.rotate(key('s1', 1), 100, 1, note('rotate'));
        await records.signingKeys.rotate(key('s2', 2), 100, 1, note('over the limit'));
        await records.signingKeys.end('other', 's1', 5, note('of another team'));
        await records.signingKeys.end(team, 's1', 5, note('end'));
        const nonce = { teamId: team, nonce: 'n', keptUntil: 9 };
        const failing = {
          teamId: team,
          compose: () => {
            throw new Error('no record');
          },
        };
        await expect(records.usedNonces.use(nonce, 1, 1, failing)).rejects.toThrow('no record');
        expect(await records.usedNonces.count(team)).toBe(0);
        await records.usedNonces.use(nonce, 1, 1, note('use'));
        await records.usedNonces.use(nonce, 1, 1, note('replay'));
        await records.usedNonces.use({ ...nonce, nonce: 'm' }, 1, 1, note('full'));
        expect(notes).toEqual(['rotate', 'end', 'use']);
        expect((await records.audit.listWaiting(team, 0, 9)).map(({ text }) => text)).toEqual(notes);
      });

      it('are deleted with their team', async () => {
        await records.signingKeys.ensureActive(key('o1', 1, 'other'));
        await records.usedNonces.use({ teamId: 'other', nonce: 'n', keptUntil: 9 }, 1, 9);
        expect(await records.teams.remove('other')).toBe(true);
        expect([await records.signingKeys.find('o1'), await records.usedNonces.count('other')]).toEqual([undefined, 0]);
      });
    });

    describe('used nonces', () => {
      const nonce = (text: string, keptUntil: number, teamId = team) => ({ teamId, nonce: text, keptUntil });

      it('can be used once, also by callers at the same moment and after a restart', async () => {
        const all = await Promise.all(Array.from({ length: 50 }, () => records.usedNonces.use(nonce('n', 100), 1, 10)));
        expect(all.filter((result) => result === 'used')).toHaveLength(1);
        expect(all.filter((result) => result === 'replayed')).toHaveLength(49);
        await records[Symbol.asyncDispose]();
        records = await open(folder);
        expect(await records.usedNonces.use(nonce('n', 100), 1, 10)).toBe('replayed');
        expect(await records.usedNonces.use(nonce('N', 100), 1, 10)).toBe('used');
      });

      it('can be used once by two processes', async () => {
        const other = await open(folder);
        try {
          const results = await Promise.all(
            [records, other, records, other].map((each) => each.usedNonces.use(nonce('n', 100), 1, 10)),
          );
          expect(results.toSorted()).toEqual(['replayed', 'replayed', 'replayed', 'used']);
        } finally {
          await other[Symbol.asyncDispose]();
        }
      });

      it('belong to one team', async () => {
        expect(await records.usedNonces.use(nonce('n', 100), 1, 1)).toBe('used');
        expect(await records.usedNonces.use(nonce('n', 100, 'other'), 1, 1)).toBe('used');
        expect(await records.usedNonces.count(team)).toBe(1);
      });

      it('are never dropped early: a full store refuses, and still knows every nonce', async () => {
        const { usedNonces } = records;
        for (let n = 0; n < 5; n++) expect(await usedNonces.use(nonce(`n${n}`, 100 + n), 1, 5)).toBe('used');
        expect(await usedNonces.use(nonce('more', 999), 99, 5)).toBe('full');
        for (let n = 0; n < 5; n++) expect(await usedNonces.use(nonce(`n${n}`, 100), 99, 5)).toBe('replayed');
        expect(await usedNonces.use(nonce('more', 999), 100, 5)).toBe('full');
        expect(await usedNonces.use(nonce('more', 999), 101, 5)).toBe('used');
        expect(await usedNonces.use(nonce('n0', 100), 101, 5)).toBe('full');
        expect(await usedNonces.use(nonce('n1', 101), 101, 5)).toBe('replayed');
      });

      it('are purged after the end of their URL', async () => {
        const { usedNonces } = records;
        await usedNonces.use(nonce('a', 10), 1, 9);
        await usedNonces.use(nonce('b', 20, 'other'), 1, 9);
        expect([await usedNonces.purge(10, 9), await usedNonces.count(team)]).toEqual([0, 1]);
        expect([await usedNonces.purge(11, 9), await usedNonces.count(team)]).toEqual([1, 0]);
        expect(await usedNonces.count('other')).toBe(1);
      });
    });
  });
}
