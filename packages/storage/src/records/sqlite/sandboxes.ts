import type { DatabaseSync } from 'node:sqlite';
import type { ReportedSandbox } from '../sandbox-record.ts';
import type { SandboxRecords } from '../sandboxes.ts';
import { isMissingParent } from './constraint.ts';
import { createCounter } from './create-counter.ts';
import type { EventLog } from './event-log.ts';
import { sandboxChanges } from './sandbox-changes.ts';
import { filterFromPage, filterFromQuery, runsSql } from './sandbox-filter.ts';
import { sandboxFromRow } from './sandbox-row.ts';
import { takeRows } from './take-rows.ts';
import { inTransaction } from './transaction.ts';

/** What the team has while the intent does not count yet. */
const heldSql = `
  SELECT (SELECT count(*) FROM sandboxes WHERE team_id = :team AND ${runsSql.replace('?', ':aliveAfter')})
      + (SELECT coalesce(sum(places), 0) FROM creations WHERE team_id = :team AND id <> :id) AS sandboxes`;
const heldMemorySql = `
  SELECT (SELECT coalesce(sum(memory_mb), 0) FROM sandboxes WHERE team_id = :team AND ${runsSql.replace('?', ':aliveAfter')})
      + (SELECT coalesce(sum(memory_mb), 0) FROM creations WHERE team_id = :team AND id <> :id) AS memory_mb`;
const beginSql = `
  INSERT INTO creations (id, team_id, template_id, started_at, places, memory_mb, key_id, creates, day)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (id) DO UPDATE SET places = excluded.places, memory_mb = excluded.memory_mb`;

/** The life of a paused sandbox counts as ended, for as long as it is paused. */
const livesSql = `
  SELECT started_at, CASE state WHEN 'running' THEN NULL ELSE state_since END AS finished_at FROM sandboxes
  WHERE team_id = ? AND started_at <= ? AND (finished_at IS NULL OR finished_at >= ?) ORDER BY started_at LIMIT ?`;

const mountingSql = `
  SELECT id FROM sandboxes WHERE team_id = ? AND (state = 'paused' OR ${runsSql})
    AND EXISTS (SELECT 1 FROM json_each(volumes) AS mount WHERE mount.value ->> 'volumeId' = ?)
  ORDER BY started_at, id LIMIT ?`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteSandboxes(db: DatabaseSync, log: EventLog): SandboxRecords {
  const changes = sandboxChanges(db, log);
  const begin = db.prepare(beginSql);
  const held = db.prepare(heldSql);
  const heldMemory = db.prepare(heldMemorySql);
  const byCreation = db.prepare(
    'SELECT * FROM sandboxes WHERE creation_id = ? AND team_id = ? ORDER BY started_at, id',
  );
  const findCreation = db.prepare('SELECT * FROM creations WHERE id = ?');
  const counter = createCounter(db);
  const removeCreation = db.prepare('DELETE FROM creations WHERE id = ?');
  const clearCreations = db.prepare('DELETE FROM creations');
  const byId = db.prepare('SELECT * FROM sandboxes WHERE id = ?');
  const own = db.prepare('SELECT * FROM sandboxes WHERE id = ? AND team_id = ?');
  const live = db.prepare("SELECT * FROM sandboxes WHERE state <> 'ended'");
  const lives = db.prepare(livesSql);
  const mounting = db.prepare(mountingSql);
  const purge = db.prepare(
    "DELETE FROM sandboxes WHERE id IN (SELECT id FROM sandboxes WHERE state = 'ended' AND state_since < ? LIMIT ?)",
  );

  return {
    beginCreation: async (creation, limits, aliveAfter) =>
      inTransaction(db, () => {
        const { id, teamId: team, templateId, startedAt, sandboxCount, memoryMb, creates } = creation;
        const scope = { id, team, aliveAfter };
        if (Number(held.get(scope)?.['sandboxes']) + sandboxCount > limits.sandboxes) return 'sandboxes';
        // Summed up only for teams with such a limit.
        if (limits.memoryMb !== Infinity && Number(heldMemory.get(scope)?.['memory_mb']) + memoryMb > limits.memoryMb)
          return 'memoryMb';
        if (creates !== undefined) {
          const exceeded = counter.takeCreates(team, creates, limits);
          if (exceeded !== undefined) return exceeded;
        }
        const counted = creates ?? { keyId: '', count: 0, day: 0 };
        begin.run(
          ...[id, team, templateId, startedAt, sandboxCount, memoryMb],
          ...[counted.keyId, counted.count, counted.day],
        );
        return undefined;
      }),
    completeCreation: async (creationId, sandboxes, now) =>
      log.change(() => {
        for (const sandbox of sandboxes) changes.put(sandbox, now);
        removeCreation.run(creationId);
      }),
    abandonCreation: async (creationId) =>
      inTransaction(db, () => {
        const row = findCreation.get(creationId);
        if (row !== undefined) counter.giveBackCreates(row);
        removeCreation.run(creationId);
      }),
    clearCreations: async () => Number(clearCreations.run().changes),
    put: async (sandbox, now) => {
      try {
        log.change(() => changes.put(sandbox, now));
        return true;
      } catch (thrown) {
        if (isMissingParent(thrown)) return false;
        throw thrown;
      }
    },
    end: async (id, cause, endedAt) => log.change(() => changes.end(id, cause, endedAt)),
    takeBack: async (sandbox, now) => log.change(() => changes.takeBack(sandbox, now)),
    findOwn: async (teamId, id) => {
      const row = own.get(id, teamId);
      return row === undefined ? undefined : sandboxFromRow(row);
    },
    findByCreation: async (teamId, creationId) =>
      creationId === '' ? [] : byCreation.all(creationId, teamId).map(sandboxFromRow),
    find: async (id) => {
      const row = byId.get(id);
      return row === undefined ? undefined : sandboxFromRow(row);
    },
    list: async (query) => {
      const { where, values } = filterFromPage(query);
      const statement = db.prepare(
        `SELECT * FROM sandboxes WHERE ${where} ORDER BY started_at ${query.order}, id ${query.order} LIMIT ?`,
      );
      // One row more than the page shows whether there is a next page.
      const { rows, isCut } = takeRows(statement.iterate(...values, query.limit + 1), query);
      // The filter returns only live ones.
      const sandboxes = rows.map(sandboxFromRow) as ReportedSandbox[];
      const last = sandboxes.at(-1);
      const next = isCut && last !== undefined ? { startedAt: last.startedAt, id: last.id } : undefined;
      return { sandboxes, next };
    },
    count: async (query) => {
      const { where, values } = filterFromQuery(query);
      const row = db.prepare(`SELECT count(*) AS number FROM sandboxes WHERE ${where}`).get(...values);
      return Number(row?.['number']);
    },
    listMounting: async (teamId, volumeId, aliveAfter, limit) =>
      mounting.all(teamId, aliveAfter, volumeId, limit).map(({ id }) => String(id)),
    listLive: async () => live.all().map(sandboxFromRow),
    listLives: async (teamId, start, finish, limit) =>
      lives.all(teamId, finish, start, limit).map((row) => ({
        startedAt: Number(row['started_at']),
        endedAt: row['finished_at'] === null ? undefined : Number(row['finished_at']),
      })),
    purgeEnded: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}
