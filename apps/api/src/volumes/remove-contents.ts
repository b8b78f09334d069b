import { sleepUnlessAborted } from '@soulbox/base';
import type { VolumeContents } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';

/** How often contents that could not be removed are tried again. */
const everyMs = 60_000;
/** Files are unlinked without reading them; a million small ones take a while. */
const removeMs = 120_000;

/** Removes what is in a volume that is being deleted, then its record. */
export async function removeContents(
  { volumes, records, stopping }: ApiContext,
  { id, teamId, groupId }: VolumeContents,
): Promise<void> {
  if (volumes === undefined) return;
  const signal = AbortSignal.any([stopping, AbortSignal.timeout(removeMs)]);
  const { body } = await volumes.call({ method: 'DELETE', what: '', teamId, groupId, volumeId: id, signal });
  body.destroy();
  await records.volumes.finishRemove(id);
}

/** Tries it again for all whose contents are left, until the server stops. */
export async function removeContentsUntilStop(context: ApiContext): Promise<void> {
  const { records, logger, stopping } = context;
  while (!stopping.aborted) {
    try {
      for (const volume of await records.volumes.listRemoving()) await removeContents(context, volume);
    } catch (err) {
      // oxlint-disable-next-line typescript/no-unnecessary-condition -- it changes while this waits
      if (!stopping.aborted) logger.warn({ err }, 'the contents of deleted volumes could not be removed yet');
    }
    await sleepUnlessAborted(everyMs, stopping).catch(() => undefined);
  }
}
