import type { DatabaseSync } from 'node:sqlite';
import type { SandboxFacts } from '../sandbox-record.ts';
import type { SandboxRecords } from '../sandboxes.ts';
import { isMissingParent } from './constraint.ts';
import { filterFromPage, filterFromQuery } from './sandbox-filter.ts';
import { factsToRow, sandboxFromRow } from './sandbox-row.ts';
import { inTransaction } from './transaction.ts';

const upsertSql = `
  INSERT INTO sandboxes
    (id, team_id, template_id, alias, metadata, started_at, end_at, cpu_count, memory_mb, disk_size_mb, envd_version,
     network, lifecycle, state)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'running')
  ON CONFLICT (id) DO UPDATE SET
    template_id = excluded.template_id, alias = excluded.alias, metadata = excluded.metadata,
    started_at = excluded.started_at, end_at = excluded.end_at, cpu_count = excluded.cpu_count,
    memory_mb = excluded.memory_mb, disk_size_mb = excluded.disk_size_mb, envd_version = excluded.envd_version,
    network = excluded.network, lifecycle = excluded.lifecycle
  WHERE state = 'running' AND team_id = excluded.team_id`;

const beginSql = `
  INSERT INTO creations (id, team_id, template_id, started_at)
  SELECT ?1, ?2, ?3, ?4
  WHERE (SELECT count(*) FROM sandboxes WHERE state = 'running' AND team_id = ?2 AND end_at > ?6)
      + (SELECT count(*) FROM creations WHERE team_id = ?2) < ?5`;

/* eslint-disable @typescript-eslint/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSandboxes(db: DatabaseSync): SandboxRecords {
  const upsert = db.prepare(upsertSql);
  const begin = db.prepare(beginSql);
  const removeCreation = db.prepare('DELETE FROM creations WHERE id = ?');
  const clearCreations = db.prepare('DELETE FROM creations');
  const end = db.prepare(
    `UPDATE sandboxes SET state = 'ended', cause = ?1, ended_at = ?2
     WHERE id = ?3 AND (state = 'running' OR (cause = 'lost' AND ?1 <> 'lost'))`,
  );
  const byId = db.prepare('SELECT * FROM sandboxes WHERE id = ?');
  const running = db.prepare(
    "SELECT * FROM sandboxes WHERE id = ? AND team_id = ? AND state = 'running' AND end_at > ?",
  );
  const allRunning = db.prepare("SELECT * FROM sandboxes WHERE state = 'running'");
  const lives = db.prepare(
    `SELECT started_at, ended_at FROM sandboxes
     WHERE team_id = ? AND started_at <= ? AND (ended_at IS NULL OR ended_at >= ?) ORDER BY started_at LIMIT ?`,
  );
  const purge = db.prepare(
    "DELETE FROM sandboxes WHERE id IN (SELECT id FROM sandboxes WHERE state = 'ended' AND ended_at < ? LIMIT ?)",
  );

  return {
    beginCreation: async (creation, limit, aliveAfter) => {
      const { id, teamId, templateId, startedAt } = creation;
      return begin.run(id, teamId, templateId, startedAt, limit, aliveAfter).changes === 1;
    },
    completeCreation: async (creationId, sandbox: SandboxFacts) => {
      inTransaction(db, () => {
        upsert.run(...factsToRow(sandbox));
        removeCreation.run(creationId);
      });
    },
    abandonCreation: async (creationId) => void removeCreation.run(creationId),
    clearCreations: async () => Number(clearCreations.run().changes),
    put: async (sandbox) => {
      try {
        upsert.run(...factsToRow(sandbox));
        return true;
      } catch (thrown) {
        if (isMissingParent(thrown)) return false;
        throw thrown;
      }
    },
    end: async (id, cause, endedAt) => end.run(cause, endedAt, id).changes === 1,
    findRunning: async (teamId, id, aliveAfter) => {
      const row = running.get(id, teamId, aliveAfter);
      return row === undefined ? undefined : sandboxFromRow(row);
    },
    find: async (id) => {
      const row = byId.get(id);
      return row === undefined ? undefined : sandboxFromRow(row);
    },
    list: async (query) => {
      const { where, values } = filterFromPage(query);
      const statement = db.prepare(
        `SELECT * FROM sandboxes WHERE ${where} ORDER BY started_at ${query.order}, id ${query.order} LIMIT ?`,
      );
      // One more than the page tells whether there is a next one.
      const rows = statement.all(...values, query.limit + 1).map(sandboxFromRow);
      const sandboxes = rows.slice(0, query.limit);
      const last = sandboxes.at(-1);
      const next =
        rows.length > query.limit && last !== undefined ? { startedAt: last.startedAt, id: last.id } : undefined;
      return { sandboxes, next };
    },
    count: async (query) => {
      const { where, values } = filterFromQuery(query);
      const row = db.prepare(`SELECT count(*) AS number FROM sandboxes WHERE ${where}`).get(...values);
      return Number(row?.['number']);
    },
    listRunning: async () => allRunning.all().map(sandboxFromRow),
    listLives: async (teamId, start, finish, limit) =>
      lives.all(teamId, finish, start, limit).map((row) => ({
        startedAt: Number(row['started_at']),
        endedAt: row['ended_at'] === null ? undefined : Number(row['ended_at']),
      })),
    purgeEnded: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
