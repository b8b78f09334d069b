import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { SoulBoxError } from '@soulbox/base';
import { tryLock } from '@soulbox/linux/flock';

/**
 * Only one process rotates the master key of a data folder, and none while a backup copies records and keys. Throws
 * `illegal_transition`. The end of the process ends the lock.
 */
export async function lockRotation(dataDirectory: string): Promise<AsyncDisposable> {
  const folder = await open(dataDirectory, constants.O_RDONLY | constants.O_DIRECTORY);
  if (tryLock(folder.fd)) return { [Symbol.asyncDispose]: async () => await folder.close() };
  await folder.close();
  throw new SoulBoxError(
    'illegal_transition',
    'Another command is rotating the master key of this server, or is making a backup. Retry when it has ended.',
  );
}
