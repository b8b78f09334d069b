import type { DatabaseSync } from 'node:sqlite';
import type { BlobRootKeyRecords } from '../blob-root-keys.ts';

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteBlobRootKeys(db: DatabaseSync): BlobRootKeyRecords {
  const find = db.prepare('SELECT id, sealed_key, created_at FROM blob_root_keys');
  const insert = db.prepare(
    'INSERT INTO blob_root_keys (id, sealed_key, created_at) SELECT ?, ?, ? WHERE NOT EXISTS (SELECT 1 FROM blob_root_keys)',
  );
  return {
    find: async () => {
      const row = find.get();
      if (row === undefined) return undefined;
      return { id: String(row['id']), sealedKey: String(row['sealed_key']), createdAt: Number(row['created_at']) };
    },
    add: async ({ id, sealedKey, createdAt }) => void insert.run(id, sealedKey, createdAt),
  };
}
