import { isNodeError, SoulBoxError } from '@soulbox/base';

/** Primary result codes of sqlite.org/rescode.html; extended codes contain them in their low byte. */
const sqliteFull = 13;
/** Codes of SQLite for what the system refused: with a full disk, also to grow the shared index of the log. */
const sqliteIoError = 10;
const cannotOpen = 14;
const corrupt = 11;
const notADatabase = 26;
const noRoomCodes: readonly unknown[] = ['ENOSPC', 'EDQUOT'];

/** Whether SQLite or the system refused something because the disk is full. */
export function isNoRoom(thrown: unknown): boolean {
  if (!isNodeError(thrown)) return false;
  if (thrown.code !== 'ERR_SQLITE_ERROR') return noRoomCodes.includes(thrown.code);
  return [sqliteFull, sqliteIoError, cannotOpen].includes(codeOf(thrown));
}

/** Whether SQLite cannot read what is in the file. */
export const isDamage = (thrown: unknown): boolean =>
  isNodeError(thrown) && thrown.code === 'ERR_SQLITE_ERROR' && [corrupt, notADatabase].includes(codeOf(thrown));

export const volumeDamaged = (cause?: unknown): SoulBoxError =>
  new SoulBoxError('volume_damaged', 'The list of the files in the volume is damaged. Nothing was changed.', { cause });

const codeOf = (thrown: unknown): number => Number((thrown as { errcode?: unknown }).errcode) & 0xff;
