import { chmod } from 'node:fs/promises';
import { backup, DatabaseSync } from 'node:sqlite';
import { errorFromUnknown } from '@soulbox/base';
import { errorFromSqlite } from './errors.ts';

/** All in one step: a copy in several steps starts again with each write to the records. */
const pagesAtOnce = 2 ** 31 - 1;

/** Copies the records of one moment to a file (0600), even if others write to them meanwhile. Throws `disk_full`. */
export async function backupSqliteRecords(path: string, target: string): Promise<void> {
  try {
    const db = new DatabaseSync(path, { readOnly: true, timeout: 5000 });
    try {
      await backup(db, target, { rate: pagesAtOnce });
    } finally {
      db.close();
    }
    await chmod(target, 0o600);
  } catch (error) {
    throw errorFromUnknown(errorFromSqlite(error, target));
  }
}
