import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { BuildLog, BuildLogQuery, NewBuild } from '../records/builds.ts';
import { ensureDefaultTeam } from '../records/first-start.ts';
import type { Records } from '../records/records.ts';
import type { SandboxFacts } from '../records/sandbox-record.ts';
import { facts } from './facts.ts';

const why = { message: 'replaced', step: '' };
const made = { cpuCount: 2, memoryMb: 512, diskSizeMb: 900, envdVersion: '0.6.13', finishedAt: 50 };

/** Tests for every implementation of TemplateRecords, BuildRecords and BuildFileRecords. */
export function describeBuilds(name: string, open: (folder: string) => Promise<Records>): void {
  let folder: string;
  let records: Records;
  let team: string;

  const ensure = async (id: string, teamId = team, limit = 100, templateName = id) =>
    await records.templates.ensure({ id, teamId, name: templateName, createdAt: 1 }, limit);
  const request = (id: string, more: Partial<NewBuild> = {}, limit = 100) =>
    records.builds.request(
      {
        ...{ id, templateId: 't1', tags: ['default'], cpuCount: 2, memoryMb: 512, minFreeDiskMb: 0, createdAt: 10 },
        ...more,
      },
      limit,
      why,
    );
  const start = (id: string, limit = 100) =>
    records.builds.start(id, { startCommand: 'go', readyCommand: 'test' }, limit, why, 20);
  const finish = async (id: string, more: Partial<NewBuild> = {}): Promise<string[] | undefined> => {
    await request(id, more);
    await start(id);
    return await records.builds.complete(id, made);
  };
  const statusOf = async (id: string) => (await records.builds.find(id))?.status;
  const tagsOf = async (id = 't1') =>
    Object.fromEntries((await records.templates.listTags(id)).map(({ tag, buildId }) => [tag, buildId]));

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'soulbox-builds-'));
    records = await open(folder);
    team = (await ensureDefaultTeam(records)).id;
    await records.teams.create({ id: 'other', name: 'other', isDefault: false, createdAt: 1 });
    await ensure('t1');
  });
  afterEach(async () => {
    await records[Symbol.asyncDispose]();
    await rm(folder, { recursive: true });
  });

  describe(`templates in ${name}`, () => {
    it('are created once per team and name, and found again after a restart', async () => {
      expect(await ensure('t2', team, 100, 't1')).toMatchObject({ id: 't1', name: 't1', isPublic: false });
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      expect(await records.templates.findByName(team, 't1')).toEqual({
        ...{ id: 't1', teamId: team, name: 't1', isPublic: false, createdAt: 1, updatedAt: 1 },
        ...{ lastSpawnedAt: undefined, spawnCount: 0 },
      });
      expect(await records.templates.findByName('other', 't1')).toBeUndefined();
    });

    it('never exceed the limit, but an existing one is returned even at the limit', async () => {
      expect(await ensure('t2', team, 1)).toBeUndefined();
      expect(await ensure('t1', team, 1)).toMatchObject({ id: 't1' });
      expect(await ensure('t3', 'other', 1)).toMatchObject({ teamId: 'other' });
    });

    it('are found by all teams once they are public, the oldest first', async () => {
      expect(await records.templates.findPublic('t1')).toBeUndefined();
      await records.templates.ensure({ id: 't0', teamId: 'other', name: 't1', createdAt: 0 }, 9);
      await records.templates.setPublic('t1', true, 5);
      expect(await records.templates.findPublic('t1')).toMatchObject({ id: 't1', isPublic: true, updatedAt: 5 });
      await records.templates.setPublic('t0', true, 5);
      expect((await records.templates.findPublic('t1'))?.id).toBe('t0');
    });

    it('count their sandboxes', async () => {
      await records.templates.noteSpawn('t1', 7);
      await records.templates.noteSpawn('t1', 8);
      expect(await records.templates.findById('t1')).toMatchObject({ spawnCount: 2, lastSpawnedAt: 8 });
    });

    it.each<[string, Partial<SandboxFacts>, boolean]>([
      ['runs', {}, true],
      ['sleeps', { ...({ state: 'paused' } as object), endAt: 1 }, true],
      ['should have ended by now', { endAt: 50 }, false],
      ['is of another template', { templateId: 't9' }, false],
    ])('stay while a sandbox %s', async (_what, more, stays) => {
      await records.sandboxes.put(facts('ia', 'other', 1, { templateId: 't1', ...more }), 1);
      expect(await records.templates.remove('t1', 100)).toEqual(stays ? 'in_use' : []);
    });

    it('stay while a sandbox is being created, and are removed with all their rows', async () => {
      const creation = { id: 'c1', teamId: 'other', templateId: 't1', startedAt: 1, sandboxCount: 1, memoryMb: 0 };
      await finish('b1');
      await records.builds.appendLogs('b1', [{ at: 1, level: 'info', step: '', message: 'm' }]);
      await records.sandboxes.beginCreation(creation, { sandboxes: 9, memoryMb: Infinity }, 0);
      expect(await records.templates.remove('t1', 100)).toBe('in_use');
      await records.sandboxes.abandonCreation('c1');
      expect(await records.templates.remove('t1', 100)).toEqual(['b1']);
      expect(await records.templates.remove('t1', 100)).toBeUndefined();
      expect(await records.builds.find('b1')).toBeUndefined();
      expect(await records.builds.listTagged()).toEqual([]);
      await records.builds.appendLogs('b1', [{ at: 1, level: 'info', step: '', message: 'late' }]);
    });

    it('have tags that move, and return the builds that have none any more', async () => {
      expect(await finish('b1', { tags: ['default', 'v1'] })).toEqual([]);
      expect(await finish('b2')).toEqual([]);
      expect(await tagsOf()).toEqual({ default: 'b2', v1: 'b1' });
      expect(await records.templates.assignTags('t1', 'b2', ['v1', 'v2'], 60)).toEqual(['b1']);
      expect(await records.builds.isTagged('b1')).toBe(false);
      expect(await records.templates.removeTags('t1', ['v1', 'nope'], 61)).toBeUndefined();
      expect(await records.templates.removeTags('t1', ['v1', 'v2'], 61)).toEqual([]);
      expect(await tagsOf()).toEqual({ default: 'b2' });
      expect(await records.templates.findTag('t1', 'default')).toMatchObject({ buildId: 'b2', createdAt: 50 });
      expect(await records.templates.removeTags('t1', ['default'], 62)).toEqual(['b2']);
    });
  });

  describe(`builds in ${name}`, () => {
    it('wait, build, and are ready with their final size and their tags', async () => {
      expect(await request('b1', { tags: ['a', 'b'] })).toBe(true);
      expect(await records.builds.find('b1')).toEqual({
        ...{ id: 'b1', templateId: 't1', tags: ['a', 'b'], status: 'waiting', reason: undefined, cpuCount: 2 },
        ...{ memoryMb: 512, minFreeDiskMb: 0, diskSizeMb: 0, envdVersion: '', startCommand: '', readyCommand: '' },
        ...{ createdAt: 10, updatedAt: 10, finishedAt: undefined },
      });
      expect(await start('b1')).toEqual({ outcome: 'started', replaced: [] });
      expect(await statusOf('b1')).toBe('building');
      expect(await start('b1')).toEqual({ outcome: 'not_waiting' });
      expect(await records.builds.complete('b1', made)).toEqual([]);
      expect(await records.builds.find('b1')).toMatchObject({
        ...{ status: 'ready', diskSizeMb: 900, envdVersion: '0.6.13', finishedAt: 50, startCommand: 'go' },
      });
      expect(await tagsOf()).toEqual({ a: 'b1', b: 'b1' });
      expect(await records.builds.complete('b1', made)).toBeUndefined();
    });

    it('replace waiting and running builds for one of their tags, and no others', async () => {
      await request('b1', { tags: ['a', 'b'] });
      await start('b1');
      await request('b2', { tags: ['b', 'c'] });
      await request('b3', { tags: ['c'] });
      expect([await statusOf('b1'), await statusOf('b2')]).toEqual(['building', 'error']);
      await request('b4', { tags: ['b'] });
      expect(await start('b4')).toEqual({ outcome: 'started', replaced: ['b1'] });
      expect(await records.builds.find('b1')).toMatchObject({ status: 'error', reason: why, finishedAt: 20 });
      expect(await statusOf('b3')).toBe('waiting');
      // A replaced build takes no tag, even if it completes.
      expect(await records.builds.complete('b1', made)).toBeUndefined();
      expect(await tagsOf()).toEqual({});
    });

    it('respect the limits of a team, even if many come at once', async () => {
      await ensure('t2', 'other');
      const ids = Array.from({ length: 20 }, (_, index) => `b${index}`);
      const requested = await Promise.all(ids.map((id) => request(id, { tags: [id] }, 15)));
      expect(requested.filter(Boolean)).toHaveLength(15);
      const started = await Promise.all(ids.slice(0, 15).map((id) => start(id, 10)));
      expect(started.filter(({ outcome }) => outcome === 'started')).toHaveLength(10);
      expect(await statusOf('b12')).toBe('waiting');
      expect(await request('x', { templateId: 't2' }, 1)).toBe(true);
      expect((await start('x', 1)).outcome).toBe('started');
      // A build that replaces another needs no additional place.
      await request('b99', { tags: ['b3'] });
      expect(await start('b99', 10)).toEqual({ outcome: 'started', replaced: ['b3'] });
    });

    it('fail once, with a reason, before or during the build', async () => {
      await request('b1');
      expect(await records.builds.fail('b1', { message: 'no', step: '3' }, 30)).toBe(true);
      expect(await records.builds.fail('b1', { message: 'again', step: '' }, 31)).toBe(false);
      expect((await records.builds.find('b1'))?.reason).toEqual({ message: 'no', step: '3' });
      expect((await start('b1')).outcome).toBe('not_waiting');
      await finish('b2');
      expect(await records.builds.fail('b2', why, 60)).toBe(false);
    });

    it('all fail if they were in progress when the process died', async () => {
      await request('b1', { tags: ['a'] });
      await request('b2', { tags: ['b'] });
      await start('b2');
      expect(await records.builds.failUnderway({ message: 'stopped', step: '' }, 40)).toBe(1);
      expect([await statusOf('b1'), await statusOf('b2')]).toEqual(['waiting', 'error']);
    });

    it('lose their tags if their snapshot is gone', async () => {
      await finish('b1');
      await records.builds.lose('b1', { message: 'gone', step: '' }, 70);
      expect([await statusOf('b1'), await tagsOf()]).toEqual(['error', {}]);
    });

    it('are listed newest first by page, without gaps', async () => {
      for (let n = 10; n < 25; n++) await request(`b${n}`, { tags: [`${n}`], createdAt: Math.floor(n / 4) });
      const seen: string[] = [];
      let after: { createdAt: number; id: string } | undefined;
      do {
        const page = await records.builds.list('t1', after, 4);
        seen.push(...page.builds.map(({ id }) => id));
        after = page.next;
      } while (after !== undefined);
      expect(seen).toEqual(Array.from({ length: 15 }, (_, index) => `b${24 - index}`));
      expect(await records.builds.count('t1')).toBe(15);
    });

    it('are removed when they are old and no tag needs them; those that wait too long fail', async () => {
      await finish('b1');
      await finish('b2');
      await request('b3', { tags: ['x'], createdAt: 5 });
      await request('b4', { tags: ['y'], createdAt: 90 });
      expect(await records.builds.purge(60, 100)).toBe(1);
      await records.builds.giveUp(60, { message: 'too long', step: '' }, 100);
      expect(await records.builds.find('b1')).toBeUndefined();
      expect(await statusOf('b2')).toBe('ready');
      expect([await statusOf('b3'), await statusOf('b4')]).toEqual(['error', 'waiting']);
    });
  });

  describe(`build logs in ${name}`, () => {
    const all: BuildLogQuery = { level: undefined, order: 'asc', cursor: undefined, offset: 0, limit: 100 };
    const texts = async (more: Partial<BuildLogQuery> = {}) =>
      (await records.builds.listLogs('b1', { ...all, ...more })).map(({ message }) => message);

    it('keep their order and are read by offset, level, time and direction', async () => {
      await request('b1');
      const log = (at: number, level: BuildLog['level']): BuildLog => ({ at, level, step: '1', message: `${at}` });
      await records.builds.appendLogs('b1', [log(1, 'debug'), log(3, 'info')]);
      await records.builds.appendLogs('b1', [log(2, 'warn'), log(4, 'error')]);
      expect(await texts()).toEqual(['1', '3', '2', '4']);
      expect(await texts({ offset: 1, limit: 2 })).toEqual(['3', '2']);
      expect(await texts({ offset: 9 })).toEqual([]);
      expect(await texts({ level: 'warn' })).toEqual(['2', '4']);
      expect(await texts({ level: 'info', offset: 1 })).toEqual(['2', '4']);
      expect(await texts({ cursor: 3 })).toEqual(['3', '4']);
      expect(await texts({ order: 'desc', cursor: 3, limit: 2 })).toEqual(['2', '3']);
      expect((await records.builds.listLogs('b1', all))[0]).toEqual(log(1, 'debug'));
    });
  });

  describe(`build files in ${name}`, () => {
    const reserve = (id: string, hash: string, sizeBytes: number, limit = 100, teamId = team) =>
      records.buildFiles.reserve({ id, teamId, hash, sizeBytes }, limit);

    it('can be used by their team once they are complete', async () => {
      expect(await reserve('u1', 'h', 60)).toBe(true);
      expect(await records.buildFiles.use(team, 'h', 1)).toBeUndefined();
      await records.buildFiles.complete('u1', 5);
      const file = { teamId: team, hash: 'h', sizeBytes: 60, usedAt: 9 };
      expect(await records.buildFiles.use(team, 'h', 9)).toEqual(file);
      expect(await records.buildFiles.use('other', 'h', 9)).toBeUndefined();
    });

    it('respect the limit of the team, reservations included', async () => {
      expect(await reserve('u1', 'h', 60)).toBe(true);
      expect(await reserve('u2', 'i', 41)).toBe(false);
      expect(await reserve('u2', 'i', 41, 100, 'other')).toBe(true);
      await records.buildFiles.complete('u1', 5);
      expect(await reserve('u3', 'i', 41)).toBe(false);
      // The same file again replaces the earlier one.
      expect(await reserve('u4', 'h', 100)).toBe(true);
      await records.buildFiles.abandon('u4');
      expect(await reserve('u5', 'i', 40)).toBe(true);
      expect(await records.buildFiles.clearReserved()).toBe(2);
    });

    it('are removed if they are unused, unless one was used just now', async () => {
      await reserve('u1', 'h', 1);
      await records.buildFiles.complete('u1', 5);
      expect(await records.buildFiles.listUnused(5, 10)).toEqual([]);
      expect((await records.buildFiles.listUnused(6, 10)).map(({ hash }) => hash)).toEqual(['h']);
      await records.buildFiles.use(team, 'h', 8);
      expect(await records.buildFiles.remove(team, 'h', 6)).toBe(false);
      expect(await records.buildFiles.remove(team, 'h', 9)).toBe(true);
      expect(await records.buildFiles.use(team, 'h', 9)).toBeUndefined();
    });
  });
}
