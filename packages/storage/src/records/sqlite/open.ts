import { DatabaseSync } from 'node:sqlite';
import { errorFromUnknown, isNodeError, SoulBoxError } from '@soulbox/base';
import type { Records } from '../records.ts';
import { sqliteApiKeys } from './api-keys.ts';
import { migrate } from './migrations.ts';
import { sqliteSandboxes } from './sandboxes.ts';
import { sqliteTeams } from './teams.ts';

/** Another process (the CLI making a key) may hold the write lock this long before we give up. Milliseconds. */
const busyTimeoutMs = 5000;

/**
 * Opens or makes the records file. WAL with `synchronous = NORMAL`: a crash of the process loses nothing, a crash of the
 * host may lose the last commits, and the runner's list brings those sandboxes back.
 * Throws `config_invalid` for a file of a newer version or one that is no records file.
 */
export function openSqliteRecords(path: string): Records {
  const db = openDatabase(path);
  const api: Records = {
    teams: sqliteTeams(db),
    apiKeys: sqliteApiKeys(db),
    sandboxes: sqliteSandboxes(db),
    [Symbol.asyncDispose]: () => {
      if (db.isOpen) db.close();
      return Promise.resolve();
    },
  };
  return api;
}

function openDatabase(path: string): DatabaseSync {
  let db: DatabaseSync | undefined;
  try {
    db = new DatabaseSync(path, { enableForeignKeyConstraints: true, timeout: busyTimeoutMs });
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    migrate(db);
    return db;
  } catch (thrown) {
    db?.close();
    if (isNodeError(thrown) && thrown.code === 'ERR_SQLITE_ERROR')
      throw new SoulBoxError('config_invalid', `The records file ${path} cannot be opened: ${thrown.message}.`, {
        cause: thrown,
      });
    throw errorFromUnknown(thrown);
  }
}
