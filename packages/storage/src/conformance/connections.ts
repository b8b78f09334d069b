import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { ConnectionQuery, ConnectionRecord } from '../records/connections.ts';
import type { Records } from '../records/records.ts';
import { makeRecords, otherTeam, removeRecords } from './fresh-records.ts';
import type { OpenRecords } from './fresh-records.ts';

/** Tests for the log of connections to the outside. */
export function describeConnections(name: string, open: OpenRecords): void {
  describe(`records of connections in ${name}`, () => {
    let folder: string;
    let records: Records;
    let team: string;
    beforeEach(async () => {
      ({ folder, records, team } = await makeRecords(open));
    });
    afterEach(async () => {
      await removeRecords(folder, records);
    });

    const connection = (more: Partial<ConnectionRecord> = {}): ConnectionRecord => ({
      ...{ teamId: team, sandboxId: 's1', startedAt: 1, durationMs: 2, protocol: 'tls', name: 'a.io' },
      ...{ address: '1.2.3.4', port: 443, rule: '*.io', isAllowed: true, reason: '', bytesSent: 3, bytesReceived: 4 },
      ...{ method: '', path: '', count: 1 },
      ...more,
    });
    const query: Omit<ConnectionQuery, 'teamId'> = {
      ...{ sandboxId: undefined, isAllowed: undefined },
      before: undefined,
      limit: 100,
    };

    it('are listed newest first, by team, sandbox and verdict, in pages', async () => {
      const { connections } = records;
      await connections.add(
        [connection(), connection({ isAllowed: false, reason: 'denied', method: 'GET', path: '/x' })],
        99,
      );
      await connections.add([connection({ sandboxId: 's2' }), connection({ teamId: otherTeam.id })], 99);
      const all = await connections.list({ ...query, teamId: team });
      expect(all.map(({ sequence }) => sequence)).toEqual([3, 2, 1]);
      expect(all[1]).toEqual({
        ...connection({ isAllowed: false, reason: 'denied', method: 'GET', path: '/x' }),
        sequence: 2,
      });
      const sequences = async (more: Partial<ConnectionQuery>): Promise<number[]> =>
        (await connections.list({ ...query, teamId: team, ...more })).map(({ sequence }) => sequence);
      expect(await sequences({ sandboxId: 's1' })).toEqual([2, 1]);
      expect(await sequences({ sandboxId: "s1' OR 1=1 --" })).toEqual([]);
      expect(await sequences({ isAllowed: false })).toEqual([2]);
      expect(await sequences({ before: 3, limit: 1 })).toEqual([2]);
    });

    it('a team above its limit keeps the newest, and other teams keep theirs', async () => {
      const { connections } = records;
      await connections.add([connection({ teamId: otherTeam.id })], 10);
      for (let n = 0; n < 50; n++) await connections.add([connection({ startedAt: n })], 10);
      const kept = await connections.list({ ...query, teamId: team });
      expect(kept.map(({ startedAt }) => startedAt)).toEqual([49, 48, 47, 46, 45, 44, 43, 42, 41, 40]);
      expect(await connections.list({ ...query, teamId: otherTeam.id })).toHaveLength(1);
    });

    it('old ones are purged, a bounded number at a time', async () => {
      const { connections } = records;
      await connections.add(
        [connection({ startedAt: 5 }), connection({ startedAt: 6 }), connection({ startedAt: 7 })],
        99,
      );
      expect(await connections.purge(7, 1)).toBe(1);
      expect(await connections.purge(7, 9)).toBe(1);
      expect((await connections.list({ ...query, teamId: team })).map(({ startedAt }) => startedAt)).toEqual([7]);
    });

    it('destinations are counted by name, or by address without one, without refused ones and look-ups', async () => {
      const { connections } = records;
      await connections.add(
        [
          ...[connection(), connection({ address: '5.6.7.8' }), connection({ name: '', port: 22 })],
          ...[
            connection({ isAllowed: false }),
            connection({ protocol: 'dns', port: 53 }),
            connection({ sandboxId: 's2' }),
          ],
        ],
        99,
      );
      expect(await connections.destinations(team, 's1', 10)).toEqual([
        { name: 'a.io', address: '', port: 443, count: 2 },
        { name: '', address: '1.2.3.4', port: 22, count: 1 },
      ]);
      expect(await connections.destinations(team, 's1', 1)).toHaveLength(1);
    });
  });
}
