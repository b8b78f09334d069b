import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { KvEntry, KvNamespaceRecord, KvPut, KvRecords } from '../kv.ts';
import { inTransaction } from './transaction.ts';

type Row = Record<string, SQLOutputValue>;

function namespaceFromRow(row: Row): KvNamespaceRecord {
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    createdAt: Number(row['created_at']),
    keyCount: Number(row['key_count']),
    sizeBytes: Number(row['size_bytes']),
  };
}

function entryFromRow(row: Row): KvEntry {
  return {
    key: String(row['key']),
    blobKey: String(row['blob_key']),
    sizeBytes: Number(row['size_bytes']),
    metadata: row['metadata'] === null ? undefined : String(row['metadata']),
    expiresAt: row['expires_at'] === null ? undefined : Number(row['expires_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteKv(db: DatabaseSync): KvRecords {
  const byName = db.prepare('SELECT * FROM kv_namespaces WHERE team_id = ? AND name = ?');
  const byId = db.prepare('SELECT * FROM kv_namespaces WHERE id = ?');
  const insertNamespace = db.prepare(
    `INSERT INTO kv_namespaces SELECT ?1, ?2, ?3, ?4, 0, 0
     WHERE (SELECT count(*) FROM kv_namespaces WHERE team_id = ?2) < ?5`,
  );
  const ofTeam = db.prepare('SELECT * FROM kv_namespaces WHERE team_id = ? ORDER BY name');
  const removeNamespace = db.prepare('DELETE FROM kv_namespaces WHERE id = ?');
  const grow = db.prepare(
    'UPDATE kv_namespaces SET key_count = key_count + ?, size_bytes = size_bytes + ? WHERE id = ?',
  );
  const teamBytes = db.prepare('SELECT coalesce(sum(size_bytes), 0) AS bytes FROM kv_namespaces WHERE team_id = ?');
  const blobs = db.prepare('SELECT blob_key FROM kv_entries WHERE namespace_id = ?');
  const find = db.prepare('SELECT * FROM kv_entries WHERE namespace_id = ? AND key = ?');
  const replace = db.prepare('INSERT OR REPLACE INTO kv_entries VALUES (?, ?, ?, ?, ?, ?)');
  const removeEntry = db.prepare('DELETE FROM kv_entries WHERE namespace_id = ? AND key = ?');
  const list = db.prepare(
    `SELECT * FROM kv_entries
     WHERE namespace_id = ?1 AND key >= ?2 AND key > ?3 AND substr(key, 1, length(?2)) = ?2
       AND (?2 = '' OR key < ?2 || char(1114111))
       AND (expires_at IS NULL OR expires_at > ?4)
     ORDER BY key LIMIT ?5`,
  );
  const withBlob = db.prepare('SELECT 1 FROM kv_entries WHERE blob_key = ?');
  const expired = db.prepare('SELECT * FROM kv_entries WHERE expires_at <= ? ORDER BY expires_at LIMIT ?');

  const drop = (namespaceId: string, entry: KvEntry): string => {
    removeEntry.run(namespaceId, entry.key);
    grow.run(-1, -entry.sizeBytes, namespaceId);
    return entry.blobKey;
  };
  const entryOf = (namespaceId: string, key: string): KvEntry | undefined => {
    const row = find.get(namespaceId, key);
    return row === undefined ? undefined : entryFromRow(row);
  };

  return {
    ensureNamespace: async ({ id, teamId, name, createdAt }, limit) =>
      inTransaction(db, () => {
        if (byName.get(teamId, name) === undefined) insertNamespace.run(id, teamId, name, createdAt, limit);
        const row = byName.get(teamId, name);
        return row === undefined ? undefined : namespaceFromRow(row);
      }),
    listNamespaces: async (teamId) => ofTeam.all(teamId).map(namespaceFromRow),
    removeNamespace: async (teamId, name) =>
      inTransaction(db, () => {
        const row = byName.get(teamId, name);
        if (row === undefined) return undefined;
        const dropped = blobs.all(String(row['id'])).map((entry) => String(entry['blob_key']));
        removeNamespace.run(String(row['id']));
        return dropped;
      }),
    get: async (namespaceId, key, now) => {
      const entry = entryOf(namespaceId, key);
      return entry?.expiresAt !== undefined && entry.expiresAt <= now ? undefined : entry;
    },
    put: async (namespaceId, entry, limits) =>
      inTransaction(db, (): KvPut => {
        const row = byId.get(namespaceId);
        if (row === undefined) return { done: false, why: 'gone' };
        const { keyCount, sizeBytes } = namespaceFromRow(row);
        const old = entryOf(namespaceId, entry.key);
        const more = { keys: old === undefined ? 1 : 0, bytes: entry.sizeBytes - (old?.sizeBytes ?? 0) };
        if (keyCount + more.keys > limits.keys || sizeBytes + more.bytes > limits.sizeBytes)
          return { done: false, why: 'full' };
        const ofTeam = Number(teamBytes.get(row['team_id'] ?? null)?.['bytes']);
        if (more.bytes > 0 && ofTeam + more.bytes > limits.teamBytes) return { done: false, why: 'team_full' };
        const { key, blobKey, metadata, expiresAt } = entry;
        replace.run(namespaceId, key, blobKey, entry.sizeBytes, metadata ?? null, expiresAt ?? null);
        grow.run(more.keys, more.bytes, namespaceId);
        return { done: true, replaced: old?.blobKey };
      }),
    remove: async (namespaceId, key) =>
      inTransaction(db, () => {
        const entry = entryOf(namespaceId, key);
        return entry === undefined ? undefined : drop(namespaceId, entry);
      }),
    list: async (namespaceId, { prefix, after, limit, now }) =>
      list.all(namespaceId, prefix, after ?? '', now, limit).map(entryFromRow),
    findUnused: async (blobKeys) => blobKeys.filter((blobKey) => withBlob.get(blobKey) === undefined),
    removeExpired: async (now, limit) =>
      inTransaction(db, () =>
        expired.all(now, limit).map((row) => drop(String(row['namespace_id']), entryFromRow(row))),
      ),
  };
}
