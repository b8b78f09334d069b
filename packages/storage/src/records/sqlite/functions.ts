import type { DatabaseSync, SQLInputValue, SQLOutputValue } from 'node:sqlite';
import type { FunctionRecord, FunctionRecords, FunctionVersionRecord } from '../functions.ts';
import { isDuplicate } from './constraint.ts';
import { inTransaction } from './transaction.ts';

function functionFromRow(row: Record<string, SQLOutputValue>): FunctionRecord {
  // The JSON was written by `rowFromFunction` and is trusted.
  const json = (column: string): unknown => JSON.parse(String(row[column]));
  return {
    id: String(row['id']),
    teamId: String(row['team_id']),
    name: String(row['name']),
    kind: row['kind'] as FunctionRecord['kind'],
    sealedEnvironment: String(row['sealed_environment']),
    sealedSecrets: json('sealed_secrets') as FunctionRecord['sealedSecrets'],
    kvBindings: json('kv_bindings') as FunctionRecord['kvBindings'],
    limits: json('limits') as FunctionRecord['limits'],
    compatibilityDate: String(row['compatibility_date']),
    compatibilityFlags: json('compatibility_flags') as FunctionRecord['compatibilityFlags'],
    activeVersion: Number(row['active_version']),
    sandboxId: row['sandbox_id'] === null ? undefined : String(row['sandbox_id']),
    createdAt: Number(row['created_at']),
    updatedAt: Number(row['updated_at']),
  };
}

/** In the order of the columns. `environment` had the variables themselves in older versions. */
function rowFromFunction(record: FunctionRecord): SQLInputValue[] {
  return [
    ...[record.id, record.teamId, record.name, record.kind, '{}'],
    ...[JSON.stringify(record.sealedSecrets), JSON.stringify(record.kvBindings), JSON.stringify(record.limits)],
    ...[record.compatibilityDate, JSON.stringify(record.compatibilityFlags), record.activeVersion],
    ...[record.sandboxId ?? null, record.createdAt, record.updatedAt, record.sealedEnvironment],
  ];
}

function versionFromRow(row: Record<string, SQLOutputValue>): FunctionVersionRecord {
  return {
    functionId: String(row['function_id']),
    number: Number(row['number']),
    digest: String(row['digest']),
    sizeBytes: Number(row['size_bytes']),
    createdAt: Number(row['created_at']),
  };
}

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteFunctions(db: DatabaseSync): FunctionRecords {
  const insert = db.prepare(`INSERT INTO functions VALUES (${Array.from({ length: 15 }, () => '?').join(', ')})`);
  const count = db.prepare('SELECT count(*) AS number FROM functions WHERE team_id = ?');
  const byName = db.prepare('SELECT * FROM functions WHERE name = ?');
  const ofTeam = db.prepare('SELECT * FROM functions WHERE team_id = ? ORDER BY name');
  const replace = db.prepare(
    `UPDATE functions SET team_id = ?2, name = ?3, kind = ?4, environment = ?5, sealed_secrets = ?6, kv_bindings = ?7,
       limits = ?8, compatibility_date = ?9, compatibility_flags = ?10, active_version = ?11, sandbox_id = ?12,
       created_at = ?13, updated_at = ?14, sealed_environment = ?15
     WHERE id = ?1`,
  );
  const setSandbox = db.prepare('UPDATE functions SET sandbox_id = ? WHERE id = ?');
  const remove = db.prepare('DELETE FROM functions WHERE id = ?');
  const insertVersion = db.prepare('INSERT INTO function_versions VALUES (?, ?, ?, ?, ?)');
  const versions = db.prepare('SELECT * FROM function_versions WHERE function_id = ? ORDER BY number DESC');
  const removeVersion = db.prepare('DELETE FROM function_versions WHERE function_id = ? AND number = ?');
  const byId = db.prepare('SELECT * FROM functions WHERE id = ?');
  const withDigest = db.prepare('SELECT 1 FROM function_versions WHERE digest = ? LIMIT 1');
  const sandboxes = db.prepare('SELECT sandbox_id FROM functions WHERE sandbox_id IS NOT NULL');

  const addVersion = ({ functionId, number, digest, sizeBytes, createdAt }: FunctionVersionRecord): void => {
    insertVersion.run(functionId, number, digest, sizeBytes, createdAt);
  };
  const unused = (digests: readonly string[]): string[] =>
    [...new Set(digests)].filter((digest) => withDigest.get(digest) === undefined);

  return {
    create: async (record, version, limit) =>
      inTransaction(db, () => {
        if (Number(count.get(record.teamId)?.['number']) >= limit) return 'limit_reached';
        try {
          insert.run(...rowFromFunction(record));
        } catch (thrown) {
          if (isDuplicate(thrown)) return 'name_taken';
          throw thrown;
        }
        addVersion(version);
        return 'created';
      }),
    find: async (name) => {
      const row = byName.get(name);
      return row === undefined ? undefined : functionFromRow(row);
    },
    list: async (teamId) => ofTeam.all(teamId).map(functionFromRow),
    save: async (record, version) =>
      inTransaction(db, () => {
        if (replace.run(...rowFromFunction(record)).changes === 0) return false;
        if (version !== undefined) addVersion(version);
        return true;
      }),
    setSandbox: async (id, sandboxId) => void setSandbox.run(sandboxId ?? null, id),
    remove: async (id) => void remove.run(id),
    listVersions: async (id) => versions.all(id).map(versionFromRow),
    pruneVersions: async (id, keep) =>
      inTransaction(db, () => {
        const active = Number(byId.get(id)?.['active_version']);
        const old = versions.all(id).map(versionFromRow).slice(keep);
        const dropped = old.filter(({ number }) => number !== active);
        for (const { number } of dropped) removeVersion.run(id, number);
        return unused(dropped.map(({ digest }) => digest));
      }),
    findUnused: async (digests) => unused(digests),
    listSandboxIds: async () => sandboxes.all().map((row) => String(row['sandbox_id'])),
  };
}
