import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createApiKey, ensureDefaultTeam } from '../records/first-start.ts';
import type { Records } from '../records/records.ts';
import type { ReportedSandbox } from '../records/sandbox-record.ts';
import type { SandboxListQuery } from '../records/sandboxes.ts';
import { facts, listQuery } from './facts.ts';
import { makeRecords, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of Records. `open` is called again with the same folder to check what was kept. */
export function describeRecords(name: string, open: OpenRecords): void {
  describe(`records in ${name}`, () => {
    let folder: string;
    let records: Records;
    let team: string;

    beforeEach(async () => {
      ({ folder, records, team } = await makeRecords(open));
    });
    afterEach(async () => {
      await removeRecords(folder, records);
    });

    const put = (sandbox: ReportedSandbox): Promise<boolean> => records.sandboxes.put(sandbox, 5);
    const idsOf = async (more: Partial<SandboxListQuery> = {}): Promise<string[]> =>
      (await records.sandboxes.list(listQuery(team, more))).sandboxes.map((sandbox) => sandbox.id);

    describe('teams', () => {
      it('create one default team, even if they are asked repeatedly', async () => {
        expect((await ensureDefaultTeam(records)).id).toBe(team);
        expect(await records.teams.list()).toHaveLength(1);
      });

      it('refuse a second default team and an existing id', async () => {
        const other = { id: 'other', name: 'other', isDefault: false, createdAt: 1 };
        await records.teams.create(other);
        await expect(records.teams.create(other)).rejects.toMatchObject({ reason: 'name_taken' });
        await expect(records.teams.create({ ...other, id: 'x', isDefault: true })).rejects.toMatchObject({
          reason: 'name_taken',
        });
      });

      it('are deleted with everything they own, but not while they have a sandbox, and never the default one', async () => {
        const other = { id: 'other', name: 'other', isDefault: false, createdAt: 1 };
        await records.teams.create(other);
        const { key } = await createApiKey(records, other, 'key');
        await put(facts('i1', 'other', 1));
        await records.sandboxes.beginCreation(
          { id: 'c1', teamId: 'other', templateId: 't', startedAt: 1, sandboxCount: 1, memoryMb: 0 },
          { sandboxes: 9, memoryMb: Infinity },
          0,
        );
        expect(await records.teams.readHoldings('other')).toEqual({
          sandboxes: 2,
          snapshots: 0,
          templates: 0,
          functions: 0,
          volumes: 0,
        });
        expect(await records.teams.remove('other')).toBe(false);
        await records.sandboxes.abandonCreation('c1');
        await records.sandboxes.end('i1', 'killed', 9);
        expect(await records.teams.remove('other')).toBe(true);
        expect(await records.teams.remove('other')).toBe(false);
        expect([await records.teams.find('other'), await records.apiKeys.findByValue(key.reveal())]).toEqual([
          undefined,
          undefined,
        ]);
        expect((await records.teams.readUsage('other')).events).toBe(0);
        expect(await records.teams.remove(team)).toBe(false);
      });

      it('return undefined for an unknown id', async () => {
        expect(await records.teams.find("' OR 1=1 --")).toBeUndefined();
      });
    });

    describe('API keys', () => {
      it('store an HMAC and a mask, never the value', async () => {
        const { key, record } = await createApiKey(records, { id: team }, 'first');
        const value = key.reveal();
        expect(value).toMatch(/^e2b_[0-9a-f]{40}$/);
        expect(JSON.stringify(await records.apiKeys.list(team))).not.toContain(value.slice(4));
        expect(await records.apiKeys.findByValue(value)).toEqual(record);
        expect(record.mask).toMatchObject({ prefix: 'e2b_', valueLength: 40 });
        expect(record).toMatchObject({ scopes: ['create', 'run', 'read', 'admin'], templates: [] });
        expect([record.role, record.expiresAt]).toEqual([undefined, undefined]);
      });

      it('keep what they may do, and until when', async () => {
        const wanted = {
          scopes: ['read', 'create', 'read'],
          role: 'viewer',
          templates: ['a', 'b:c'],
          expiresAt: 9,
        } as const;
        const { key, record } = await createApiKey(records, { id: team }, 'small', wanted);
        expect(record).toMatchObject({ ...wanted, scopes: ['create', 'read'] });
        const none = await createApiKey(records, { id: team }, 'nothing', { scopes: [] });
        await records[Symbol.asyncDispose]();
        records = await open(folder);
        expect(await records.apiKeys.findByValue(key.reveal())).toEqual(record);
        expect((await records.apiKeys.findByValue(none.key.reveal()))?.scopes).toEqual([]);
      });

      it('are found by their exact value only', async () => {
        const { key } = await createApiKey(records, { id: team }, 'k');
        const value = key.reveal();
        const last = value.endsWith('0') ? '1' : '0';
        const wrong = ['', 'e2b_', value.slice(4), value.slice(0, -1), `${value}0`, value.toUpperCase()];
        for (const text of [...wrong, value.slice(0, -1) + last, `${value}\0`, ` ${value}`, 'e2b_'.repeat(1000)])
          expect([text, await records.apiKeys.findByValue(text)]).toEqual([text, undefined]);
        expect(await records.apiKeys.findByValue(value)).toBeDefined();
      });

      it('belong to one team: another team can neither see, rename nor remove them', async () => {
        await records.teams.create({ id: 'other', name: 'other', isDefault: false, createdAt: 1 });
        const { key, record } = await createApiKey(records, { id: team }, 'mine');
        expect(await records.apiKeys.list('other')).toEqual([]);
        expect(await records.apiKeys.find('other', record.id)).toBeUndefined();
        expect(await records.apiKeys.rename('other', record.id, 'stolen')).toBe(false);
        expect(await records.apiKeys.remove('other', record.id)).toBe(false);
        expect(await records.apiKeys.rename(team, record.id, 'renamed')).toBe(true);
        expect((await records.apiKeys.find(team, record.id))?.name).toBe('renamed');
        expect(await records.apiKeys.remove(team, record.id)).toBe(true);
        expect(await records.apiKeys.remove(team, record.id)).toBe(false);
        expect(await records.apiKeys.findByValue(key.reveal())).toBeUndefined();
      });

      it('never move the time of the last use backwards', async () => {
        const { record } = await createApiKey(records, { id: team }, 'k');
        await records.apiKeys.touch(record.id, 2000);
        await records.apiKeys.touch(record.id, 1000);
        expect((await records.apiKeys.find(team, record.id))?.lastUsedAt).toBe(2000);
      });

      it('cannot be created for a team that does not exist', async () => {
        await expect(createApiKey(records, { id: 'nobody' }, 'k')).rejects.toThrow();
      });
    });

    describe('creations', () => {
      const begin = async (id: string, limit: number, aliveAfter = 0, sandboxCount = 1): Promise<boolean> =>
        (await records.sandboxes.beginCreation(
          { id, teamId: team, templateId: 'tbase', startedAt: 5, sandboxCount, memoryMb: 1024 * sandboxCount },
          { sandboxes: limit, memoryMb: Infinity },
          aliveAfter,
        )) === undefined;

      it('count against the limit until they are abandoned', async () => {
        expect(await begin('a', 1)).toBe(true);
        expect(await begin('b', 1)).toBe(false);
        await records.sandboxes.abandonCreation('a');
        expect(await begin('b', 1)).toBe(true);
      });

      it('become sandboxes, which also count until they end or expire', async () => {
        await begin('a', 1);
        await records.sandboxes.completeCreation('a', [facts('ia', team, 5)], 5);
        expect(await begin('b', 1)).toBe(false);
        expect(await begin('b', 1, 1_000_000)).toBe(true);
        await records.sandboxes.abandonCreation('b');
        await records.sandboxes.end('ia', 'killed', 6);
        expect(await begin('c', 1)).toBe(true);
      });

      it('never exceed the limit, even if many begin at once', async () => {
        const results = await Promise.all(Array.from({ length: 50 }, (_, index) => begin(`c${index}`, 20)));
        expect(results.filter(Boolean)).toHaveLength(20);
      });

      it('for several sandboxes count as that many, or are refused as a whole', async () => {
        expect(await begin('a', 10, 0, 11)).toBe(false);
        expect(await begin('a', 10, 0, 7)).toBe(true);
        expect(await begin('b', 10, 0, 4)).toBe(false);
        expect(await begin('b', 10, 0, 3)).toBe(true);
        await records.sandboxes.completeCreation('a', [facts('ia', team, 5), facts('ib', team, 5)], 5);
        expect(await begin('c', 10, 0, 6)).toBe(false);
        expect(await begin('c', 10, 0, 5)).toBe(true);
      });

      it('with the same id are one, even if many callers begin it', async () => {
        expect(await begin('a', 1)).toBe(true);
        expect(await begin('a', 1)).toBe(true);
        expect(await begin('b', 1)).toBe(false);
        await records.sandboxes.abandonCreation('a');
        expect(await begin('b', 1)).toBe(true);
      });

      it('take the place of a paused sandbox, which does not count until it runs again', async () => {
        await put(facts('ia', team, 5, { state: 'paused', stateSince: 9 }));
        expect(await begin('a', 1)).toBe(true);
        await records.sandboxes.abandonCreation('a');
        await put(facts('ia', team, 5, { stateSince: 12 }));
        expect(await begin('a', 1)).toBe(false);
      });

      it('are not listed, and are removed by clearCreations on the next start', async () => {
        await begin('a', 1);
        expect(await idsOf()).toEqual([]);
        await records[Symbol.asyncDispose]();
        records = await open(folder);
        expect(await begin('b', 1)).toBe(false);
        expect(await records.sandboxes.clearCreations()).toBe(1);
        expect(await begin('b', 1)).toBe(true);
      });

      it('keep the intent if the sandbox cannot be written', async () => {
        await begin('a', 1);
        await expect(records.sandboxes.completeCreation('a', [facts('ia', 'nobody', 5)], 5)).rejects.toThrow();
        expect(await begin('b', 1)).toBe(false);
        expect(await records.sandboxes.clearCreations()).toBe(1);
      });
    });

    describe('sandboxes', () => {
      it('are read as they were written, also after a restart', async () => {
        const written = facts('ia', team, 7, { metadata: { 'kö"y\\': 'välue', empty: '' } });
        await put(written);
        await records[Symbol.asyncDispose]();
        records = await open(folder);
        expect(await records.sandboxes.findOwn(team, 'ia')).toEqual({ ...written, executionStartedAt: 7 });
      });

      it('stay ended once they have ended, and keep the first cause', async () => {
        await put(facts('ia', team, 7));
        expect(await records.sandboxes.end('ia', 'timeout', 9)).toBe(true);
        expect(await records.sandboxes.end('ia', 'killed', 10)).toBe(false);
        await put(facts('ia', team, 7));
        expect(await idsOf()).toEqual([]);
        expect(await records.sandboxes.find('ia')).toMatchObject({ state: 'ended', cause: 'timeout', stateSince: 9 });
      });

      it('recorded as lost take the cause that is learned later', async () => {
        await put(facts('ia', team, 7));
        expect(await records.sandboxes.end('ia', 'lost', 9)).toBe(true);
        expect(await records.sandboxes.end('ia', 'lost', 10)).toBe(false);
        expect(await records.sandboxes.end('ia', 'killed', 11)).toBe(true);
        expect(await records.sandboxes.end('ia', 'timeout', 12)).toBe(false);
        expect(await records.sandboxes.find('ia')).toMatchObject({ cause: 'killed', stateSince: 11 });
      });

      it('cannot be moved to another team, nor belong to a team that does not exist', async () => {
        await records.teams.create({ id: 'other', name: 'other', isDefault: false, createdAt: 1 });
        await put(facts('ia', team, 7));
        await put(facts('ia', 'other', 7));
        expect(await records.sandboxes.findOwn('other', 'ia')).toBeUndefined();
        expect(await put(facts('ib', 'nobody', 7))).toBe(false);
        expect(await records.sandboxes.find('ib')).toBeUndefined();
      });

      it('count as ended from their deadline on', async () => {
        await put(facts('ia', team, 7, { endAt: 100 }));
        expect(await idsOf({ aliveAfter: 99 })).toEqual(['ia']);
        expect(await idsOf({ aliveAfter: 100 })).toEqual([]);
        expect(await records.sandboxes.listLive()).toHaveLength(1);
      });

      it('stay past their deadline if they are paused or will be paused at it', async () => {
        const pauses = { autoResume: true, onTimeout: 'pause', idleTimeoutSeconds: 60 } as const;
        await put(facts('ia', team, 1, { state: 'paused', stateSince: 50, endAt: 50 }));
        await put(facts('ib', team, 2, { endAt: 50, lifecycle: pauses }));
        await put(facts('ic', team, 3, { endAt: 50 }));
        expect(await idsOf({ aliveAfter: 100 })).toEqual(['ib', 'ia']);
        expect((await records.sandboxes.find('ib'))?.lifecycle).toEqual(pauses);
      });

      it('are filtered by state', async () => {
        await put(facts('ia', team, 1, { state: 'paused', stateSince: 5 }));
        await put(facts('ib', team, 2));
        expect(await idsOf({ states: ['paused'] })).toEqual(['ia']);
        expect(await idsOf({ states: ['running'] })).toEqual(['ib']);
        expect(await idsOf({ states: [] })).toEqual([]);
        expect(await records.sandboxes.count(listQuery(team, { states: ['running'] }))).toBe(1);
      });

      it('are not changed by a report that is older than the row', async () => {
        await put(facts('ia', team, 1, { state: 'paused', stateSince: 20, cause: 'idle' }));
        await put(facts('ia', team, 1, { stateSince: 10, endAt: 7 }));
        expect(await records.sandboxes.find('ia')).toMatchObject({ state: 'paused', stateSince: 20, endAt: 1_000_000 });
        await put(facts('ia', team, 1, { stateSince: 30, cause: 'traffic' }));
        expect(await records.sandboxes.find('ia')).toMatchObject({
          ...{ state: 'running', cause: 'traffic', stateSince: 30, executionStartedAt: 30 },
        });
      });

      it('are filtered by exact metadata, whatever characters the pairs contain', async () => {
        const odd = { 'a"b': 'c\\d', "x'y": '1', 'a.b[0]': 'é\u{1F600}', __proto__x: 'p' };
        await put(facts('ia', team, 1, { metadata: odd }));
        await put(facts('ib', team, 2, { metadata: { n: '1' } }));
        for (const [key, value] of Object.entries(odd))
          expect(await idsOf({ metadata: { [key]: value } })).toEqual(['ia']);
        expect(await idsOf({ metadata: odd })).toEqual(['ia']);
        expect(await idsOf({ metadata: { ...odd, n: '1' } })).toEqual([]);
        expect(await idsOf({ metadata: { n: '1.0' } })).toEqual([]);
        expect(await idsOf({ metadata: { N: '1' } })).toEqual([]);
        expect(await idsOf({ metadata: { n: "1' OR '1'='1" } })).toEqual([]);
      });

      it('are filtered by template id or alias, and by start time inclusively', async () => {
        await put(facts('ia', team, 1));
        await put(facts('ib', team, 2, { templateId: 'tother', alias: 'other' }));
        expect(await idsOf({ template: 'tother' })).toEqual(['ib']);
        expect(await idsOf({ template: 'base' })).toEqual(['ia']);
        expect(await idsOf({ template: 'none' })).toEqual([]);
        expect(await idsOf({ startedAfter: 2 })).toEqual(['ib']);
        expect(await records.sandboxes.count(listQuery(team, { template: 'base' }))).toBe(1);
      });

      it('of another team are never listed or counted', async () => {
        await records.teams.create({ id: 'other', name: 'other', isDefault: false, createdAt: 1 });
        await put(facts('ia', 'other', 1));
        expect(await idsOf()).toEqual([]);
        expect(await records.sandboxes.count(listQuery(team))).toBe(0);
      });

      it('are found by a volume that is mounted in them, until they have ended', async () => {
        const mount = (volumeId: string) => [{ volumeId, name: 'n', path: '/a', readOnly: false }];
        await records.teams.create({ id: 'other', name: 'other', isDefault: false, createdAt: 1 });
        await put(facts('ia', team, 2, { volumes: [...mount('v1'), ...mount('v2')] }));
        await put(facts('ib', team, 1, { volumes: mount('v1'), state: 'paused', endAt: 5 }));
        await put(facts('ic', team, 3, { volumes: mount('v1'), endAt: 5 }));
        await put(facts('id', 'other', 3, { volumes: mount('v1') }));
        await put(facts('ie', team, 3));
        expect((await records.sandboxes.find('ib'))?.volumes).toEqual(mount('v1'));
        expect(await records.sandboxes.listMounting(team, 'v1', 10, 9)).toEqual(['ib', 'ia']);
        expect(await records.sandboxes.listMounting(team, 'v1', 0, 1)).toEqual(['ib']);
        expect(await records.sandboxes.listMounting(team, 'v2', 10, 9)).toEqual(['ia']);
        expect(await records.sandboxes.listMounting(team, 'v', 10, 9)).toEqual([]);
        await records.sandboxes.end('ib', 'killed', 9);
        expect(await records.sandboxes.listMounting(team, 'v1', 10, 9)).toEqual(['ia']);
      });

      it.each(['asc', 'desc'] as const)(
        'are paged in %s order without gaps or repeats while others are added and removed',
        async (order) => {
          // Equal start times, so that the id decides the order.
          for (let index = 0; index < 25; index++)
            await put(facts(`i${String(index).padStart(2, '0')}`, team, Math.floor(index / 4)));
          const seen: string[] = [];
          let after: SandboxListQuery['after'];
          do {
            const page = await records.sandboxes.list(listQuery(team, { order, after, limit: 4 }));
            seen.push(...page.sandboxes.map((sandbox) => sandbox.id));
            after = page.next;
            // A new sandbox in the part that was already read, and the end of one in that part.
            await put(facts(`n${seen.length}`, team, order === 'asc' ? -seen.length : 1000 + seen.length));
            await records.sandboxes.end(seen[0] ?? '', 'killed', 1);
          } while (after !== undefined);
          const expected = Array.from({ length: 25 }, (_, index) => `i${String(index).padStart(2, '0')}`);
          expect(seen).toEqual(order === 'asc' ? expected : expected.reverse());
        },
      );

      it('report the last page as the last, even if it is full', async () => {
        await put(facts('ia', team, 1));
        await put(facts('ib', team, 2));
        expect((await records.sandboxes.list(listQuery(team, { limit: 2 }))).next).toBeUndefined();
        expect((await records.sandboxes.list(listQuery(team, { limit: 1 }))).next).toEqual({ startedAt: 2, id: 'ib' });
      });

      it('return the lives that overlap a time span', async () => {
        await put(facts('ia', team, 1));
        await put(facts('ib', team, 5));
        await records.sandboxes.end('ia', 'killed', 3);
        expect(await records.sandboxes.listLives(team, 4, 9, 10)).toEqual([{ startedAt: 5, endedAt: undefined }]);
        expect(await records.sandboxes.listLives(team, 0, 4, 10)).toEqual([{ startedAt: 1, endedAt: 3 }]);
      });

      it('that ended long ago are purged, a limited number at a time', async () => {
        for (const id of ['ia', 'ib', 'ic']) await put(facts(id, team, 1));
        await records.sandboxes.end('ia', 'killed', 10);
        await records.sandboxes.end('ib', 'killed', 11);
        expect(await records.sandboxes.purgeEnded(12, 1)).toBe(1);
        expect(await records.sandboxes.purgeEnded(12, 10)).toBe(1);
        expect(await records.sandboxes.purgeEnded(12, 10)).toBe(0);
        expect(await idsOf()).toEqual(['ic']);
      });
    });
  });
}
