import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { FunctionRecord, FunctionVersionRecord } from '../records/functions.ts';
import type { Records } from '../records/records.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for every implementation of FunctionRecords. */
export function describeFunctions(name: string, open: OpenRecords): void {
  describe(`functions in ${name}`, () => {
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

    const record = (id: string, more: Partial<FunctionRecord> = {}): FunctionRecord => ({
      ...{
        id,
        teamId: team,
        name: `name-${id}`,
        kind: 'workers',
        sealedEnvironment: 'ä"\n',
        sealedSecrets: { S: 'x' },
      },
      ...{ kvBindings: { KV: 'store' }, compatibilityDate: '2026-01-01', compatibilityFlags: ['nodejs_compat'] },
      limits: { requestTimeoutMs: 1000, memoryMb: 64, maxBodyBytes: 5, idleSeconds: 60 },
      ...{ activeVersion: 1, sandboxId: undefined, createdAt: 1, updatedAt: 1, ...more },
    });
    const version = (functionId: string, number: number, digest = `d${number}`): FunctionVersionRecord => ({
      ...{ functionId, number, digest, sizeBytes: 3, createdAt: number },
    });
    const create = (id: string, more: Partial<FunctionRecord> = {}, limit = 100) =>
      records.functions.create(record(id, more), version(id, 1), limit);

    it('are found by name, with all written values, also after a restart', async () => {
      expect(await create('a')).toBe('created');
      await records[Symbol.asyncDispose]();
      records = await open(folder);
      expect(await records.functions.find('name-a')).toEqual(record('a'));
      expect(await records.functions.listVersions('a')).toEqual([version('a', 1)]);
      expect(await records.functions.find('name-b')).toBeUndefined();
    });

    it('have a unique name on the whole server', async () => {
      await create('a');
      expect(await create('b', { name: 'name-a', teamId: 'other' })).toBe('name_taken');
      expect(await records.functions.listVersions('b')).toEqual([]);
      expect(await records.functions.list('other')).toEqual([]);
    });

    it('are limited per team', async () => {
      expect(await create('a', {}, 1)).toBe('created');
      expect(await create('b', {}, 1)).toBe('limit_reached');
      expect(await create('c', { teamId: 'other' }, 1)).toBe('created');
    });

    it('are saved with a new version in one step, or not at all', async () => {
      await create('a');
      const changed = record('a', { activeVersion: 2, sandboxId: 'ix', sealedEnvironment: 'none' });
      expect(await records.functions.save(changed, version('a', 2))).toBe(true);
      expect(await records.functions.find('name-a')).toEqual(changed);
      await expect(records.functions.save(record('a'), version('a', 2))).rejects.toThrow();
      expect(await records.functions.find('name-a')).toEqual(changed);
      expect(await records.functions.listSandboxIds()).toEqual(['ix']);
      await records.functions.setSandbox('a', undefined);
      expect(await records.functions.listSandboxIds()).toEqual([]);
      expect(await records.functions.save(record('gone'))).toBe(false);
    });

    it('keep the newest versions and the active one; a bundle is released when no version uses it', async () => {
      await create('a');
      await create('b');
      for (let number = 2; number <= 5; number += 1)
        await records.functions.save(
          record('a', { activeVersion: 2 }),
          version('a', number, number === 3 ? 'd1' : undefined),
        );
      expect(await records.functions.pruneVersions('a', 1)).toEqual(['d4']);
      expect((await records.functions.listVersions('a')).map((entry) => entry.number)).toEqual([5, 2]);
      await records.functions.remove('a');
      expect(await records.functions.listVersions('a')).toEqual([]);
      expect(await records.functions.findUnused(['d1', 'd5', 'd5'])).toEqual(['d5']);
    });
  });
}
