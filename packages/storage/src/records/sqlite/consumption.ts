import type { DatabaseSync } from 'node:sqlite';
import type { QuotaRecords } from '../quotas.ts';
import { inTransaction } from './transaction.ts';

/** The `day` of a row that sums up all days. */
export const totalDay = -1;

/** Adds to the row of a team, a key and a day. */
export const addConsumptionSql = `
  INSERT INTO consumption (team_id, key_id, day, cpu_ms, egress_bytes, creates) VALUES (?, ?, ?, ?, ?, ?)
  ON CONFLICT (team_id, key_id, day) DO UPDATE SET cpu_ms = cpu_ms + excluded.cpu_ms,
    egress_bytes = egress_bytes + excluded.egress_bytes, creates = creates + excluded.creates`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function consumptionWriter(db: DatabaseSync): Pick<QuotaRecords, 'recordCounters'> {
  const add = db.prepare(addConsumptionSql);
  const findMark = db.prepare('SELECT * FROM consumption_marks WHERE sandbox_id = ?');
  const setMark = db.prepare(
    `INSERT INTO consumption_marks VALUES (?, ?, ?, ?) ON CONFLICT (sandbox_id) DO UPDATE SET
       epoch = excluded.epoch, cpu_ms = excluded.cpu_ms, egress_bytes = excluded.egress_bytes`,
  );
  const dropOldMarks = db.prepare('DELETE FROM consumption_marks WHERE epoch <> ?');
  const dropMark = db.prepare('DELETE FROM consumption_marks WHERE sandbox_id = ?');
  const hasTeam = db.prepare('SELECT 1 FROM teams WHERE id = ?');
  let lastEpoch: string | undefined;

  return {
    recordCounters: async (epoch, counters, day, forgotten = []) => {
      if (counters.length + forgotten.length === 0 && epoch === lastEpoch) return;
      inTransaction(db, () => {
        if (epoch !== lastEpoch) dropOldMarks.run(epoch);
        for (const sandboxId of forgotten) dropMark.run(sandboxId);
        const sums = new Map<string, { teamId: string; keyId: string; cpuMs: number; egressBytes: number }>();
        for (const { sandboxId, teamId, keyId, cpuMs, egressBytes } of counters) {
          const mark = findMark.get(sandboxId);
          const newMs = Math.max(0, cpuMs - Number(mark?.['cpu_ms'] ?? 0));
          const newBytes = Math.max(0, egressBytes - Number(mark?.['egress_bytes'] ?? 0));
          if (newMs === 0 && newBytes === 0) continue;
          setMark.run(sandboxId, epoch, cpuMs, egressBytes);
          const sum = sums.get(`${teamId} ${keyId}`) ?? { teamId, keyId, cpuMs: 0, egressBytes: 0 };
          sums.set(`${teamId} ${keyId}`, sum);
          sum.cpuMs += newMs;
          sum.egressBytes += newBytes;
        }
        for (const { teamId, keyId, cpuMs, egressBytes } of sums.values()) {
          if (hasTeam.get(teamId) === undefined) continue;
          for (const row of [day, totalDay]) add.run(teamId, keyId, row, cpuMs, egressBytes, 0);
        }
      });
      lastEpoch = epoch;
    },
  };
}
