import { isNodeError } from '@soulbox/base';

/** Primary result codes of sqlite.org/rescode.html; extended codes contain them in their low byte. */
const sqliteFull = 13;
/** Codes of SQLite for what the system refused: with a full disk, also to grow the shared index of the log. */
const sqliteIoError = 10;
const cannotOpen = 14;
const noRoomCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

/** Whether SQLite or the system refused something because the disk is full. */
export function isNoRoom(thrown: unknown): boolean {
  if (!isNodeError(thrown)) return false;
  if (thrown.code !== 'ERR_SQLITE_ERROR') return noRoomCodes.includes(thrown.code);
  return [sqliteFull, sqliteIoError, cannotOpen].includes(Number((thrown as { errcode?: unknown }).errcode) & 0xff);
}
