import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { ConnectionRecord, ConnectionRecords } from '../connections.ts';
import { inTransaction } from './transaction.ts';

const columns = [
  ...[
    'team_id',
    'sandbox_id',
    'started_at',
    'duration_ms',
    'protocol',
    'name',
    'address',
    'port',
    'rule',
    'is_allowed',
  ],
  ...['reason', 'bytes_sent', 'bytes_received', 'method', 'path', 'connections'],
];

/** A team is cut back to its limit each time it has added this share of it. */
const trimShare = 0.1;

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteConnections(db: DatabaseSync): ConnectionRecords {
  const insert = db.prepare(
    `INSERT INTO connections (${columns.join(', ')}) VALUES (?${', ?'.repeat(columns.length - 1)})`,
  );
  const trim = db.prepare(
    `DELETE FROM connections WHERE team_id = ?1 AND sequence <=
       (SELECT sequence FROM connections WHERE team_id = ?1 ORDER BY sequence DESC LIMIT 1 OFFSET ?2)`,
  );
  const purge = db.prepare(
    'DELETE FROM connections WHERE sequence IN (SELECT sequence FROM connections WHERE started_at < ? ORDER BY started_at LIMIT ?)',
  );
  const destinations = db.prepare(
    `SELECT name, CASE name WHEN '' THEN address ELSE '' END AS place, port, count(*) AS times FROM connections
       WHERE team_id = ? AND sandbox_id = ? AND is_allowed = 1 AND protocol <> 'dns' AND port > 0
       GROUP BY name, place, port ORDER BY times DESC, name, place, port LIMIT ?`,
  );
  const added = new Map<string, number>();

  /** The number since the last trim is only in memory: after a restart a team may have a tenth more for a while. */
  const trimIfNeeded = (teamId: string, kept: number): void => {
    if ((added.get(teamId) ?? 0) < kept * trimShare) return;
    trim.run(teamId, kept);
    added.delete(teamId);
  };

  return {
    add: async (connections, kept) =>
      inTransaction(db, () => {
        for (const connection of connections) {
          insert.run(...rowFrom(connection));
          added.set(connection.teamId, (added.get(connection.teamId) ?? 0) + 1);
        }
        for (const teamId of new Set(connections.map((connection) => connection.teamId))) trimIfNeeded(teamId, kept);
      }),
    list: async ({ teamId, sandboxId, isAllowed, before, limit }) => {
      const where = ['team_id = ?'];
      const values: SQLInputValue[] = [teamId];
      const add = (condition: string, value: SQLInputValue | undefined): void => {
        if (value === undefined) return;
        where.push(condition);
        values.push(value);
      };
      add('sandbox_id = ?', sandboxId);
      add('is_allowed = ?', isAllowed === undefined ? undefined : Number(isAllowed));
      add('sequence < ?', before);
      const sql = `SELECT * FROM connections WHERE ${where.join(' AND ')} ORDER BY sequence DESC LIMIT ?`;
      return db
        .prepare(sql)
        .all(...values, limit)
        .map(connectionFrom);
    },
    destinations: async (teamId, sandboxId, limit) =>
      destinations.all(teamId, sandboxId, limit).map((row) => ({
        name: String(row['name']),
        address: String(row['place']),
        port: Number(row['port']),
        count: Number(row['times']),
      })),
    purge: async (before, limit) => Number(purge.run(before, limit).changes),
  };
}

function rowFrom(connection: ConnectionRecord): SQLInputValue[] {
  const { teamId, sandboxId, startedAt, durationMs, protocol, name, address, port, rule } = connection;
  const { isAllowed, reason, bytesSent, bytesReceived, method, path, count } = connection;
  return [
    ...[teamId, sandboxId, startedAt, durationMs, protocol, name, address, port, rule, Number(isAllowed)],
    ...[reason, bytesSent, bytesReceived, method, path, count],
  ];
}

function connectionFrom(row: Record<string, SQLOutputValue>): ConnectionRecord & { readonly sequence: number } {
  return {
    sequence: Number(row['sequence']),
    teamId: String(row['team_id']),
    sandboxId: String(row['sandbox_id']),
    startedAt: Number(row['started_at']),
    durationMs: Number(row['duration_ms']),
    protocol: String(row['protocol']),
    name: String(row['name']),
    address: String(row['address']),
    port: Number(row['port']),
    rule: String(row['rule']),
    isAllowed: row['is_allowed'] === 1,
    reason: String(row['reason']),
    bytesSent: Number(row['bytes_sent']),
    bytesReceived: Number(row['bytes_received']),
    method: String(row['method']),
    path: String(row['path']),
    count: Number(row['connections']),
  };
}
