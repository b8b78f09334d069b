import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { SandboxCounters } from '../records/quotas.ts';
import type { Records } from '../records/records.ts';
import type { Creation, CreationLimits } from '../records/sandboxes.ts';
import { facts } from './facts.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

const none = { cpuMs: 0, egressBytes: 0, creates: 0 };

/** Tests for limits of teams, what is used, budgets of keys and idempotency keys. */
export function describeQuotas(name: string, open: OpenRecords): void {
  describe(`quotas in ${name}`, () => {
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
    const used = (sandboxId: string, cpuMs: number, more: Partial<SandboxCounters> = {}): SandboxCounters => ({
      ...{ sandboxId, teamId: team, keyId: 'k', cpuMs, egressBytes: 0, hasEnded: false },
      ...more,
    });

    describe('limits of teams', () => {
      it('are set and removed one by one, and are of one team', async () => {
        expect(await records.quotas.setLimits(team, { sandboxes: 5, memory_mb: null, snapshots: 0 })).toBe(true);
        expect([...(await records.quotas.findLimits(team))].sort()).toEqual([
          ['memory_mb', null],
          ['sandboxes', 5],
          ['snapshots', 0],
        ]);
        await records.quotas.setLimits(team, { sandboxes: 7, memory_mb: undefined });
        expect([...(await records.quotas.findLimits(team))].sort()).toEqual([
          ['sandboxes', 7],
          ['snapshots', 0],
        ]);
        expect((await records.quotas.findLimits('other')).size).toBe(0);
      });

      it('cannot be set for a team that does not exist, and end with their team', async () => {
        expect(await records.quotas.setLimits('nobody', { sandboxes: 5 })).toBe(false);
        await records.quotas.setLimits('other', { sandboxes: 5 });
        await records.teams.remove('other');
        await records.teams.create(otherTeam);
        expect((await records.quotas.findLimits('other')).size).toBe(0);
      });
    });

    describe('counters', () => {
      it('are added once, however often they are recorded', async () => {
        for (const cpuMs of [100, 100, 150, 150]) await records.quotas.recordCounters('e1', [used('i1', cpuMs)], 3);
        expect(await records.quotas.readTeamDay(team, 3)).toEqual({ ...none, cpuMs: 150 });
        expect(await records.quotas.readKey(team, 'k', 3)).toEqual({
          day: { ...none, cpuMs: 150 },
          total: { ...none, cpuMs: 150 },
        });
      });

      it('are split by day, key and team, and sent bytes count on their own', async () => {
        await records.quotas.recordCounters('e1', [used('i1', 100, { egressBytes: 7 })], 3);
        await records.quotas.recordCounters(
          'e1',
          [used('i1', 130, { egressBytes: 10 }), used('i2', 5, { keyId: '' }), used('i3', 9, { teamId: 'other' })],
          4,
        );
        expect(await records.quotas.readTeamDay(team, 3)).toEqual({ ...none, cpuMs: 100, egressBytes: 7 });
        expect(await records.quotas.readTeamDay(team, 4)).toEqual({ ...none, cpuMs: 35, egressBytes: 3 });
        expect((await records.quotas.readKey(team, 'k', 4)).day).toEqual({ ...none, cpuMs: 30, egressBytes: 3 });
        expect((await records.quotas.readKey(team, 'k', 4)).total).toEqual({ ...none, cpuMs: 130, egressBytes: 10 });
        expect((await records.quotas.listTeamDays(4)).map(({ teamId, cpuMs }) => [teamId, cpuMs]).sort()).toEqual(
          [
            [team, 35],
            ['other', 9],
          ].sort(),
        );
      });

      it('begin at 0 with another life of the runner', async () => {
        await records.quotas.recordCounters('e1', [used('i1', 100)], 3);
        await records.quotas.recordCounters('e2', [used('i1', 40)], 3);
        await records.quotas.recordCounters('e2', [used('i1', 60)], 3);
        expect((await records.quotas.readTeamDay(team, 3)).cpuMs).toBe(160);
      });

      it('that went back, or are of an unknown team, add nothing', async () => {
        await records.quotas.recordCounters('e1', [used('i1', 100), used('i2', 100, { teamId: 'nobody' })], 3);
        await records.quotas.recordCounters('e1', [used('i1', 50)], 3);
        expect((await records.quotas.readTeamDay(team, 3)).cpuMs).toBe(100);
        expect(await records.quotas.readTeamDay('nobody', 3)).toEqual(none);
      });

      it('of old days are purged, but totals stay', async () => {
        await records.quotas.recordCounters('e1', [used('i1', 100)], 3);
        await records.quotas.recordCounters('e1', [used('i1', 150)], 9);
        expect(await records.quotas.purgeDays(9, 10)).toBe(1);
        expect((await records.quotas.readTeamDay(team, 3)).cpuMs).toBe(0);
        expect((await records.quotas.readKey(team, 'k', 9)).total.cpuMs).toBe(150);
      });
    });

    describe('creations', () => {
      const begin = async (id: string, limits: Partial<CreationLimits>, more: Partial<Creation> = {}) =>
        await records.sandboxes.beginCreation(
          {
            ...{ id, teamId: team, templateId: 't', startedAt: 5, sandboxCount: 1, memoryMb: 1024 },
            creates: { keyId: 'k', count: 1, day: 3 },
            ...more,
          },
          { sandboxes: 100, memoryMb: Infinity, ...limits },
          0,
        );

      it('count with their memory, also after they have become sandboxes', async () => {
        expect(await begin('a', { memoryMb: 2048 })).toBeUndefined();
        await records.sandboxes.completeCreation('a', [facts('ia', team, 5)], 5);
        expect(await begin('b', { memoryMb: 2048 })).toBeUndefined();
        expect(await begin('c', { memoryMb: 2048 })).toBe('memoryMb');
        expect(await records.quotas.readRunningMemoryMb(team, 0)).toBe(2048);
        await records.sandboxes.end('ia', 'killed', 6);
        expect(await begin('c', { memoryMb: 2048 })).toBeUndefined();
      });

      it('count for their key until they are abandoned, and not when they are refused', async () => {
        for (const id of ['a', 'b']) expect(await begin(id, { keyDay: 2 })).toBeUndefined();
        expect(await begin('c', { keyDay: 2 })).toBe('keyDay');
        expect(await begin('c', { sandboxes: 2 })).toBe('sandboxes');
        expect((await records.quotas.readKey(team, 'k', 3)).day.creates).toBe(2);
        await records.sandboxes.abandonCreation('a');
        await records.sandboxes.abandonCreation('a');
        expect(await begin('c', { keyDay: 2 })).toBeUndefined();
        expect(await begin('d', { keyDay: 2 }, { creates: { keyId: 'k', count: 1, day: 4 } })).toBeUndefined();
        expect(await begin('e', { keyTotal: 3 }, { creates: { keyId: 'k', count: 1, day: 5 } })).toBe('keyTotal');
        expect(await begin('e', { keyTotal: 3 }, { creates: { keyId: 'k2', count: 1, day: 5 } })).toBeUndefined();
      });

      it('of a resume count for no key', async () => {
        const { creates: _, ...resume } = { id: 'a', teamId: team, templateId: 't', startedAt: 5, creates: 0 };
        const limits = { sandboxes: 9, memoryMb: Infinity, keyDay: 0 };
        const creation = { ...resume, sandboxCount: 1, memoryMb: 1 };
        expect(await records.sandboxes.beginCreation(creation, limits, 0)).toBeUndefined();
        expect((await records.quotas.readKey(team, 'k', 3)).total.creates).toBe(0);
      });
    });

    describe('budgets of keys', () => {
      it('are replaced as a whole, and are of one team', async () => {
        const budget = { teamId: team, keyId: 'k', kind: 'cpu_seconds', period: 'day', amount: 10 } as const;
        const total = { ...budget, period: 'total' } as const;
        await records.quotas.setBudgets(team, 'k', [budget, total]);
        await records.quotas.setBudgets('other', 'k', [{ ...budget, teamId: 'other' }]);
        expect(await records.quotas.listBudgets({ teamId: team, keyId: 'k' })).toEqual([budget, total]);
        await records.quotas.setBudgets(team, 'k', [{ ...budget, amount: 0 }]);
        expect(await records.quotas.listBudgets({ teamId: team })).toEqual([{ ...budget, amount: 0 }]);
        expect(await records.quotas.listBudgets()).toHaveLength(2);
        await records.quotas.setBudgets(team, 'k', []);
        expect(await records.quotas.listBudgets({ teamId: team, keyId: 'k' })).toEqual([]);
      });
    });

    describe('idempotency keys', () => {
      const begin = async (
        key: string,
        more: { fingerprint?: string; creationId?: string; teamId?: string } = {},
        now = 0,
      ) =>
        await records.idempotency.begin(
          { teamId: team, key, fingerprint: 'f', creationId: `c-${key}`, keptUntil: now + 100, ...more },
          now,
          2,
        );

      it('are new for one of fifty callers at once', async () => {
        const all = await Promise.all(Array.from({ length: 50 }, async () => await begin('a')));
        expect(all.filter(({ is }) => is === 'new')).toHaveLength(1);
        expect(all.filter(({ is }) => is === 'repeated')).toHaveLength(49);
      });

      it('name what their request makes, and whether it was made', async () => {
        await begin('a', { creationId: 'c1' });
        expect(await begin('a', { creationId: 'c2' })).toEqual({ is: 'repeated', creationId: 'c1', isDone: false });
        await records.idempotency.finish(team, 'a');
        expect(await begin('a', { creationId: 'c3' })).toEqual({ is: 'repeated', creationId: 'c1', isDone: true });
      });

      it('are refused for another request, and are another key in another team', async () => {
        await begin('a');
        expect(await begin('a', { fingerprint: 'g' })).toEqual({ is: 'other' });
        expect(await begin('a', { teamId: 'other' })).toEqual({ is: 'new' });
      });

      it('are new again after their time, and after they were abandoned', async () => {
        await begin('a');
        expect(await begin('a', { fingerprint: 'g' }, 100)).toEqual({ is: 'new' });
        await records.idempotency.abandon(team, 'a');
        expect(await begin('a')).toEqual({ is: 'new' });
      });

      it('beyond the limit are refused until the first may be forgotten; none is forgotten early', async () => {
        await begin('a', {}, 0);
        await begin('b', {}, 50);
        expect(await begin('c', {}, 60)).toEqual({ is: 'full', freeAt: 100 });
        expect(await begin('a', {}, 60)).toMatchObject({ is: 'repeated' });
        expect(await begin('c', { teamId: 'other' }, 60)).toEqual({ is: 'new' });
        expect(await begin('c', {}, 100)).toEqual({ is: 'new' });
        expect(await begin('b', {}, 100)).toMatchObject({ is: 'repeated' });
      });

      it('are purged after their time', async () => {
        await begin('a', {}, 0);
        await begin('b', {}, 50);
        expect(await records.idempotency.purge(101, 10)).toBe(1);
        expect(await records.idempotency.purge(1000, 10)).toBe(1);
      });
    });

    it('sandboxes are found by the request that made them, in their team only', async () => {
      await records.sandboxes.put(facts('i1', team, 1, { creationId: 'c', createdBy: 'k' }), 1);
      await records.sandboxes.put(facts('i2', team, 2), 2);
      expect((await records.sandboxes.findByCreation(team, 'c')).map(({ id, createdBy }) => [id, createdBy])).toEqual([
        ['i1', 'k'],
      ]);
      expect(await records.sandboxes.findByCreation('other', 'c')).toEqual([]);
      expect(await records.sandboxes.findByCreation(team, '')).toEqual([]);
    });
  });
}
