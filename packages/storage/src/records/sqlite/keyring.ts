import type { DatabaseSync, SQLOutputValue } from 'node:sqlite';
import type { DataKeyRecord, KeyringRecords, MasterKeyRecord, Rewrapped } from '../keyring.ts';
import { emptyWriteAheadLog } from './erase.ts';
import { inTransaction } from './transaction.ts';

function masterKeyFromRow(row: Record<string, SQLOutputValue>): MasterKeyRecord {
  return {
    id: String(row['id']),
    state: row['state'] as MasterKeyRecord['state'],
    createdAt: Number(row['created_at']),
  };
}

function dataKeyFromRow(row: Record<string, SQLOutputValue>): DataKeyRecord {
  return {
    id: String(row['id']),
    masterKeyId: String(row['master_key_id']),
    wrapped: String(row['wrapped']),
    claimed: Number(row['claimed']),
    createdAt: Number(row['created_at']),
  };
}

const currentSql = "(SELECT id FROM master_keys WHERE state = 'current')";

/* oxlint-disable typescript/require-await -- node:sqlite is synchronous, the interface is not */
export function sqliteKeyring(db: DatabaseSync): KeyringRecords {
  const masterKeys = db.prepare('SELECT * FROM master_keys ORDER BY created_at, id');
  const demote = db.prepare("UPDATE master_keys SET state = 'retiring' WHERE state = 'current' AND id = ?");
  const promote = db.prepare(
    `INSERT INTO master_keys SELECT ?, 'current', ? WHERE NOT EXISTS (SELECT 1 FROM master_keys WHERE state = 'current')`,
  );
  const retire = db.prepare("UPDATE master_keys SET state = 'retired' WHERE state = 'retiring'");
  const add = db.prepare(`INSERT INTO data_keys SELECT ?1, ?2, ?3, ?4, ?5 WHERE ${currentSql} = ?2`);
  const byId = db.prepare('SELECT * FROM data_keys WHERE id = ?');
  const ofMaster = db.prepare('SELECT * FROM data_keys WHERE master_key_id = ? LIMIT 1');
  const claim = db.prepare(
    `UPDATE data_keys SET claimed = claimed + ?1
     WHERE id = (SELECT id FROM data_keys ORDER BY created_at DESC, id LIMIT 1) AND claimed + ?1 <= ?2
     RETURNING id`,
  );
  const countOld = db.prepare(`SELECT count(*) AS number FROM data_keys WHERE master_key_id IS NOT ${currentSql}`);
  const listOld = db.prepare(`SELECT * FROM data_keys WHERE master_key_id IS NOT ${currentSql} LIMIT ?`);
  const rewrap = db.prepare(
    `UPDATE data_keys SET wrapped = ?2, master_key_id = ?3 WHERE id = ?1 AND wrapped = ?4 AND ${currentSql} = ?3`,
  );

  const oldCount = (): number => Number(countOld.get()?.['number']);
  const found = (row: Record<string, SQLOutputValue> | undefined): DataKeyRecord | undefined =>
    row === undefined ? undefined : dataKeyFromRow(row);

  return {
    listMasterKeys: async () => masterKeys.all().map(masterKeyFromRow),
    switchMasterKey: async (id, before, now) =>
      inTransaction(db, () => {
        if (before !== undefined && demote.run(before).changes !== 1) return false;
        return promote.run(id, now).changes === 1;
      }),
    retireMasterKeys: async () =>
      inTransaction(db, () => {
        if (oldCount() > 0) return false;
        retire.run();
        return true;
      }),
    addDataKey: async ({ id, masterKeyId, wrapped, claimed, createdAt }) =>
      add.run(id, masterKeyId, wrapped, claimed, createdAt).changes === 1,
    findDataKey: async (id) => found(byId.get(id)),
    findDataKeyOf: async (masterKeyId) => found(ofMaster.get(masterKeyId)),
    claimDataKey: async (count, max) => {
      const row = claim.get(count, max);
      return row === undefined ? undefined : String(row['id']);
    },
    countNotCurrent: async () => oldCount(),
    listNotCurrent: async (limit) => listOld.all(limit).map(dataKeyFromRow),
    rewrap: async (masterKeyId, changes: readonly Rewrapped[]) =>
      inTransaction(db, () =>
        changes.reduce(
          (sum, { id, before, wrapped }) => sum + Number(rewrap.run(id, wrapped, masterKeyId, before).changes),
          0,
        ),
      ),
    eraseReplaced: async () => emptyWriteAheadLog(db),
  };
}
