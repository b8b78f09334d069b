import { chmod } from 'node:fs/promises';
import { backup, DatabaseSync } from 'node:sqlite';
import { errorFromUnknown } from '@soulbox/base';
import type { VolumeContents } from '../volumes.ts';
import { errorFromSqlite } from './errors.ts';

/** All in one step: a copy in several steps starts again with each write to the records. */
const pagesAtOnce = 2 ** 31 - 1;

/**
 * A backup has no audit logs: a server that is restored from it must not sign a second history of a log that goes on
 * elsewhere, and must not bring back keys that are destroyed later. It keeps which logs there were.
 */
function forgetAuditLogs(path: string): void {
  const db = new DatabaseSync(path);
  try {
    db.exec('PRAGMA secure_delete = ON; DELETE FROM audit_waiting; DELETE FROM audit_subjects;');
  } finally {
    db.close();
  }
}

/** Copies the records of one moment to a file (0600), even if others write to them meanwhile. Throws `disk_full`. */
export async function backupSqliteRecords(path: string, target: string): Promise<void> {
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    try {
      await backup(db, target, { rate: pagesAtOnce });
    } finally {
      db.close();
    }
    forgetAuditLogs(target);
    await chmod(target, 0o600);
  } catch (error) {
    throw errorFromUnknown(errorFromSqlite(error, target));
  }
}

/** A volume of a copy of the records. */
export interface CopiedVolume extends VolumeContents {
  readonly isUsed: boolean;
  /** A copy of a volume that was being made, which nobody finds yet. */
  readonly isCopying: boolean;
}

/** The volumes of a copy of the records, without those that are being deleted. */
export function listCopiedVolumes(path: string): CopiedVolume[] {
  const db = new DatabaseSync(path);
  try {
    const rows = db
      .prepare('SELECT id, team_id, group_id, is_used, is_removing FROM volumes WHERE is_removing <> 1 ORDER BY id')
      .all();
    return rows.map((row) => ({
      ...{ id: String(row['id']), teamId: String(row['team_id']), groupId: String(row['group_id']) },
      ...{ isUsed: row['is_used'] === 1, isCopying: row['is_removing'] === 2 },
    }));
  } finally {
    db.close();
  }
}
