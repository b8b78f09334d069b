import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { BudgetKind, BudgetPeriod, Consumption, KeyBudget, QuotaRecords } from '../quotas.ts';
import type { AuditWriter } from './audit-writer.ts';
import { consumptionWriter, totalDay } from './consumption.ts';
import { runsSql } from './sandbox-filter.ts';
import { inTransaction } from './transaction.ts';

type Row = Record<string, SQLOutputValue>;

function consumptionFromRow(row: Row | undefined): Consumption {
  return {
    cpuMs: Number(row?.['cpu_ms'] ?? 0),
    egressBytes: Number(row?.['egress_bytes'] ?? 0),
    creates: Number(row?.['creates'] ?? 0),
  };
}

function budgetFromRow(row: Row): KeyBudget {
  return {
    keyId: String(row['key_id']),
    teamId: String(row['team_id']),
    kind: row['kind'] as BudgetKind,
    period: row['period'] as BudgetPeriod,
    amount: Number(row['amount']),
  };
}

const sums = 'sum(cpu_ms) AS cpu_ms, sum(egress_bytes) AS egress_bytes, sum(creates) AS creates';
const memorySql = `
  SELECT (SELECT coalesce(sum(memory_mb), 0) FROM sandboxes WHERE team_id = :team AND ${runsSql.replace('?', ':aliveAfter')})
    + (SELECT coalesce(sum(memory_mb), 0) FROM creations WHERE team_id = :team) AS memory_mb`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteQuotas(db: DatabaseSync, audit: AuditWriter): QuotaRecords {
  const limits = db.prepare('SELECT name, value FROM team_limits WHERE team_id = ?');
  const setLimit = db.prepare(
    'INSERT INTO team_limits VALUES (?, ?, ?) ON CONFLICT (team_id, name) DO UPDATE SET value = excluded.value',
  );
  const dropLimit = db.prepare('DELETE FROM team_limits WHERE team_id = ? AND name = ?');
  const hasTeam = db.prepare('SELECT 1 FROM teams WHERE id = ?');
  const memory = db.prepare(memorySql);
  const teamDay = db.prepare(`SELECT ${sums} FROM consumption WHERE team_id = ? AND day = ?`);
  const teamDays = db.prepare(`SELECT team_id, ${sums} FROM consumption WHERE day = ? GROUP BY team_id`);
  const keyDay = db.prepare('SELECT * FROM consumption WHERE team_id = ? AND key_id = ? AND day = ?');
  const budgets = db.prepare('SELECT * FROM key_budgets ORDER BY team_id, key_id, kind, period');
  const budgetsOfTeam = db.prepare('SELECT * FROM key_budgets WHERE team_id = ? ORDER BY key_id, kind, period');
  const budgetsOfKey = db.prepare('SELECT * FROM key_budgets WHERE team_id = ? AND key_id = ? ORDER BY kind, period');
  const dropBudgets = db.prepare('DELETE FROM key_budgets WHERE team_id = ? AND key_id = ?');
  const addBudget = db.prepare(
    'INSERT INTO key_budgets (team_id, key_id, kind, period, amount) VALUES (?, ?, ?, ?, ?)',
  );
  const purgeDays = db.prepare(
    `DELETE FROM consumption WHERE (team_id, key_id, day) IN
       (SELECT team_id, key_id, day FROM consumption WHERE day > ${totalDay} AND day < ? LIMIT ?)`,
  );

  return {
    findLimits: async (teamId) =>
      new Map(
        limits.all(teamId).map(({ name, value }) => [String(name), value === null ? null : Number(value)] as const),
      ),
    setLimits: async (teamId, changes, note) =>
      inTransaction(db, () => {
        if (hasTeam.get(teamId) === undefined) return false;
        for (const [name, value] of Object.entries(changes))
          if (value === undefined) dropLimit.run(teamId, name);
          else setLimit.run(teamId, name, value);
        if (note !== undefined) audit.write(note);
        return true;
      }),
    readRunningMemoryMb: async (team, aliveAfter) => Number(memory.get({ team, aliveAfter })?.['memory_mb'] ?? 0),
    ...consumptionWriter(db),
    readTeamDay: async (teamId, day) => consumptionFromRow(teamDay.get(teamId, day)),
    listTeamDays: async (day) =>
      teamDays.all(day).map((row) => ({ teamId: String(row['team_id']), ...consumptionFromRow(row) })),
    readKey: async (teamId, keyId, day) => ({
      day: consumptionFromRow(keyDay.get(teamId, keyId, day)),
      total: consumptionFromRow(keyDay.get(teamId, keyId, totalDay)),
    }),
    listBudgets: async (of) => {
      if (of === undefined) return budgets.all().map(budgetFromRow);
      const { teamId, keyId } = of;
      return (keyId === undefined ? budgetsOfTeam.all(teamId) : budgetsOfKey.all(teamId, keyId)).map(budgetFromRow);
    },
    setBudgets: async (teamId, keyId, wanted, note) =>
      inTransaction(db, () => {
        dropBudgets.run(teamId, keyId);
        for (const { kind, period, amount } of wanted) addBudget.run(teamId, keyId, kind, period, amount);
        if (note !== undefined) audit.write(note);
      }),
    purgeDays: async (before, limit) => Number(purgeDays.run(before, limit).changes),
  };
}
