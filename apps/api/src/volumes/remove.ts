import { callerOf } from '../auth/authenticate.ts';
import { SoulBoxError } from '@soulbox/base';
import type { VolumeRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { auditNote } from '../http/audit-requests.ts';
import { errors, noContent } from '../http/schemas.ts';
import { nameMounting } from '../lookup/mounting.ts';
import { getVolume, volumeNotFound, volumeParams } from '../lookup/volume.ts';
import { removeContents } from './remove-contents.ts';

export function addRemoveVolumeRoute(app: ApiApp, context: ApiContext): void {
  const { records, logger } = context;

  app.delete(
    '/volumes/:volumeID',
    {
      schema: {
        tags: ['volumes'],
        summary: 'Delete a volume with its contents',
        params: volumeParams,
        response: { 204: noContent, ...errors(404, 409) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const volume = await getVolume(context, team, request.params.volumeID);
      await refuseWhileMounted(context, volume);
      const { id, groupId } = volume;
      if (!(await records.volumes.beginRemove(team.id, id, auditNote(request, id))))
        throw volumeNotFound(request.params.volumeID);
      logger.info({ team: team.id, volumeId: id }, 'volume deleted');
      // Otherwise it is tried again later: for its team, the volume is gone.
      await removeContents(context, { id, teamId: team.id, groupId }).catch((err: unknown) => {
        logger.warn({ err, volumeId: id }, 'the contents of a deleted volume could not be removed yet');
      });
      return reply.code(204).send(null);
    },
  );
}

/**
 * Throws `volume_in_use`. A sandbox that is being created right now is not found here; its create fails, because the
 * volume is gone when it is mounted.
 */
async function refuseWhileMounted(context: ApiContext, { teamId, id, name }: VolumeRecord): Promise<void> {
  const mounting = await nameMounting(context, teamId, id);
  if (mounting === undefined) return;
  throw new SoulBoxError('volume_in_use', `Volume "${name}" is mounted in sandboxes: ${mounting}. Kill them first.`);
}
