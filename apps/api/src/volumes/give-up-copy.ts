import type { VolumeContents } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { removeContents } from './remove-contents.ts';

/** Removes a copy that was begun. What is left of it if the volume service is away is removed later. */
export async function giveUpCopy(context: ApiContext, copy: VolumeContents): Promise<void> {
  await context.records.volumes.giveUpCopy(copy.id);
  await removeContents(context, copy).catch((err: unknown) => {
    context.logger.warn({ err, volumeId: copy.id }, 'what a failed copy of a volume has left could not be removed yet');
  });
}
