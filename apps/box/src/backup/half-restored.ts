import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';

/** Name of the file that is in a data folder while parts of its backup are missing. */
export const incompleteMark = 'restore-incomplete';

/**
 * A server must not start on an incomplete data folder: it would treat the missing parts as deleted. Throws
 * `backup_unusable`.
 */
export async function refuseHalfRestored(dataDirectory: string): Promise<void> {
  if ((await lstat(join(dataDirectory, incompleteMark)).catch(() => undefined)) === undefined) return;
  throw new SoulBoxError(
    'backup_unusable',
    `A restore into ${dataDirectory} did not finish. Remove the folder and restore the backup again.`,
  );
}
