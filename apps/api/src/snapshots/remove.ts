import type { SnapshotRecord } from '@soulbox/storage';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { getSnapshot, snapshotNotFound, snapshotParams } from '../lookup/snapshot.ts';
import { forgetSnapshot } from './forget.ts';

export function addRemoveSnapshotRoute(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/snapshots/:snapshotID',
    {
      schema: {
        tags: ['snapshots'],
        summary: 'Delete a snapshot; sandboxes created from it continue. SoulBox extension.',
        params: snapshotParams,
        response: { 204: noContent, ...errors(404, 503) },
      },
    },
    async (request, reply) => {
      const { snapshotID } = request.params;
      const snapshot = await getSnapshot(context, callerOf(request).team, snapshotID);
      if (!(await removeSnapshot(context, snapshot))) throw snapshotNotFound(snapshotID);
      return reply.code(204).send(null);
    },
  );
}

/** False when another request is deleting it. If the runner cannot delete it, the snapshot stays and this throws. */
export async function removeSnapshot(context: ApiContext, { id }: SnapshotRecord): Promise<boolean> {
  if (!(await context.records.snapshots.beginDelete(id))) return false;
  context.snapshotsUnderway.add(id);
  try {
    await forgetSnapshot(context, id);
    context.logger.info({ snapshotId: id }, 'snapshot deleted');
    return true;
  } catch (thrown) {
    await context.records.snapshots.abandonDelete(id);
    throw thrown;
  } finally {
    context.snapshotsUnderway.delete(id);
  }
}
