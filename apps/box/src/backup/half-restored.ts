import { lstat } from 'node:fs/promises';
import { join } from 'node:path';
import { SoulBoxError } from '@soulbox/base';

/** Stands in a data folder for as long as it lacks something of its backup. */
export const incompleteMark = 'restore-incomplete';

/** A server must not start on what is not whole: it would take what is missing for gone. Throws `backup_unusable`. */
export async function refuseHalfRestored(dataDirectory: string): Promise<void> {
  if ((await lstat(join(dataDirectory, incompleteMark)).catch(() => undefined)) === undefined) return;
  throw new SoulBoxError(
    'backup_unusable',
    `A restore into ${dataDirectory} did not finish. Remove the folder and restore the backup again.`,
  );
}
