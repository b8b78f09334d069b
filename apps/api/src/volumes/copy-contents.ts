import type { AuditNote, VolumeRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { volumeNotFound } from '../lookup/volume.ts';
import { giveUpCopy } from './give-up-copy.ts';
import { getVolumeService } from './schemas.ts';
import { explainTeamBytes, teamBytesOf } from './team-bytes.ts';

/** The service itself gives up after 30 minutes. */
const copyMsMax = 31 * 60_000;

/**
 * Gives a copy that was begun the contents of its source, and lets it be found. It goes on when the client leaves. After a
 * failure, nothing is left of the copy, or it is removed later.
 */
export async function copyContents(
  context: ApiContext,
  source: VolumeRecord,
  copy: VolumeRecord,
  note: AuditNote | undefined,
): Promise<void> {
  const { records, stopping, volumeCopiesUnderway } = context;
  volumeCopiesUnderway.add(copy.id);
  try {
    const { id, teamId, groupId } = source;
    const { body } = await getVolumeService(context).call({
      ...{ method: 'POST', what: 'copy', teamId, groupId, volumeId: id },
      query: { to: copy.id, readOnly: copy.isReadOnly, teamBytes: await teamBytesOf(context, teamId) },
      signal: AbortSignal.any([stopping, AbortSignal.timeout(copyMsMax)]),
    });
    body.destroy();
    if (!(await records.volumes.finishCopy(copy.id, note))) throw volumeNotFound(copy.name);
  } catch (thrown) {
    await giveUpCopy(context, copy);
    throw explainTeamBytes(thrown);
  } finally {
    volumeCopiesUnderway.delete(copy.id);
  }
}
