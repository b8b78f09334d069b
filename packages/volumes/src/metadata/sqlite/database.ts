import { closeSync, existsSync, openSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { SoulBoxError } from '@soulbox/base';
import { isDamage, volumeDamaged } from './errors.ts';
import { migrate } from './migrate.ts';

/** How long another process, such as a check of the volume, may hold the write lock. Milliseconds. */
const busyTimeoutMs = 5000;
/** What a log that grew longer, because a copy was read from it, is cut to. */
const logBytesKept = 64 * 1024 * 1024;
const pageCacheKib = 16 * 1024;

/**
 * Opens the metadata of a volume. With `synchronous = NORMAL`, a commit is written to the log and not flushed: it
 * survives the end of the process. `sync` flushes it. The log is written back by `checkpoint.ts`, never in a commit.
 * Throws `volume_damaged`.
 */
export function openDatabase(path: string, { create }: { readonly create: boolean }): DatabaseSync {
  if (!create && !existsSync(path)) throw new SoulBoxError('file_not_found', `The volume ${path} does not exist.`);
  // SQLite gives the files beside it the same mode.
  closeSync(openSync(path, create ? 'ax' : 'r+', 0o600));
  const db = new DatabaseSync(path, { timeout: busyTimeoutMs });
  try {
    db.exec(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0;
       PRAGMA cache_size = -${pageCacheKib}; PRAGMA temp_store = MEMORY;
       PRAGMA journal_size_limit = ${logBytesKept};`,
    );
    migrate(db, path);
    return db;
  } catch (error) {
    db.close();
    throw isDamage(error) ? volumeDamaged(error) : error;
  }
}
