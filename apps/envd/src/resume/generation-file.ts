import { constants } from 'node:fs';
import { openRegular } from '../sys/open-regular.ts';

export const generationPath = '/run/soulbox/generation';

/**
 * Overwrites the old generation in place, so that programs that watch the file (inotify: IN_MODIFY, IN_CLOSE_WRITE) are
 * notified. Truncates it afterwards, so a reader never finds it empty. Throws the errors of the kernel.
 */
export async function writeGeneration(generation: string): Promise<void> {
  const text = Buffer.from(`${generation}\n`);
  const { file } = await openRegular(
    generationPath,
    constants.O_WRONLY | constants.O_CREAT | constants.O_NOFOLLOW,
    0o644,
  );
  await using opened = file;
  await opened.write(text, 0, text.length, 0);
  await opened.truncate(text.length);
}
