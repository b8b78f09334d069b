import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { isNodeError, SoulBoxError } from '@soulbox/base';

/** Primary result codes of sqlite.org/rescode.html; extended codes contain them in their low byte. */
const sqliteFull = 13;
/** A full disk can also cause these: no space to grow the shared index, or to create the log beside the file. */
const maybeFull: readonly number[] = [10, 14];
/** With less than this, a file of SQLite has no space to grow. */
const noRoomBytes = 1024 * 1024;

/** Errors of SQLite that mean a full disk become `disk_full`; all others are unchanged. */
export function errorFromSqlite(thrown: unknown, path: string): unknown {
  if (!isNodeError(thrown) || thrown.code !== 'ERR_SQLITE_ERROR') return thrown;
  const code = Number((thrown as { errcode?: unknown }).errcode) & 0xff;
  if (code !== sqliteFull && !(maybeFull.includes(code) && hasNoRoom(path))) return thrown;
  return new SoulBoxError(
    'disk_full',
    'The disk of the server is full. Its records cannot be written, and nothing was changed.',
    {
      cause: thrown,
    },
  );
}

function hasNoRoom(path: string): boolean {
  try {
    const { bavail, bsize, files, ffree } = statfsSync(dirname(path));
    return bavail * bsize < noRoomBytes || (files > 0 && ffree === 0);
  } catch {
    return false;
  }
}
