import type { DatabaseSync } from 'node:sqlite';
import { buildLogLevels } from '../builds.ts';
import type { BuildLogQuery, BuildRecords } from '../builds.ts';
import { buildLogFromRow } from './build-row.ts';
import { isMissingParent } from './constraint.ts';
import { inTransaction } from './transaction.ts';

const appendSql = `
  INSERT INTO build_logs (build_id, sequence, at, level, step, message)
  SELECT :build, coalesce(max(sequence), -1) + 1, :at, :level, :step, :message FROM build_logs WHERE build_id = :build`;

/** The levels from the lowest requested one upwards. */
const levelsFrom = (level: BuildLogQuery['level']): string =>
  JSON.stringify(buildLogLevels.slice(level === undefined ? 0 : buildLogLevels.indexOf(level)));

const selectSql = (order: 'asc' | 'desc'): string => `
  SELECT * FROM build_logs
  WHERE build_id = ? AND level IN (SELECT value FROM json_each(?)) AND at ${order === 'asc' ? '>=' : '<='} ?
  ORDER BY sequence ${order} LIMIT ? OFFSET ?`;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteBuildLogs(db: DatabaseSync): Pick<BuildRecords, 'appendLogs' | 'listLogs'> {
  const append = db.prepare(appendSql);
  const select = { asc: db.prepare(selectSql('asc')), desc: db.prepare(selectSql('desc')) };
  return {
    appendLogs: async (build, logs) => {
      try {
        inTransaction(db, () => {
          for (const { at, level, step, message } of logs) append.run({ build, at, level, step, message });
        });
      } catch (thrown) {
        if (!isMissingParent(thrown)) throw thrown;
      }
    },
    listLogs: async (id, { order, level, limit, offset, cursor }) => {
      const from = cursor ?? (order === 'asc' ? 0 : Number.MAX_SAFE_INTEGER);
      return select[order].all(id, levelsFrom(level), from, limit, offset).map(buildLogFromRow);
    },
  };
}
