import { SoulBoxError } from '@soulbox/base';
import type { SnapshotRecord, TeamRecord } from '@soulbox/storage';
import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent } from '../http/schemas.ts';
import { templateNotFound } from '../templates/routes.ts';
import { findSnapshot, getSnapshot, snapshotNotFound, snapshotParams } from './find.ts';
import { forgetSnapshot } from './forget.ts';

export function addRemoveSnapshotRoutes(app: ApiApp, context: ApiContext): void {
  app.delete(
    '/snapshots/:snapshotID',
    {
      schema: {
        tags: ['snapshots'],
        summary: "Delete a snapshot; sandboxes made from it go on. SoulBox's own.",
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

  app.delete(
    '/templates/:templateID',
    {
      schema: {
        tags: ['snapshots'],
        summary: 'Delete a snapshot, as the official clients do it; templates cannot be deleted in this version',
        params: z.object({ templateID: z.string().describe('A snapshot id or name, percent-encoded.') }),
        response: { 204: noContent, ...errors(404, 501, 503) },
      },
    },
    async (request, reply) => {
      const { team } = callerOf(request);
      const { templateID } = request.params;
      const snapshot = await findSnapshot(context, team, templateID);
      if (snapshot === undefined) throw await notDeletable(context, team, templateID);
      if (!(await removeSnapshot(context, snapshot))) throw templateNotFound(templateID);
      return reply.code(204).send(null);
    },
  );
}

async function notDeletable(context: ApiContext, team: TeamRecord, templateId: string): Promise<SoulBoxError> {
  if ((await context.templates.find(team, templateId)) === undefined) return templateNotFound(templateId);
  return new SoulBoxError('not_implemented', 'Deleting templates is not available in this version of SoulBox.');
}

/** False when somebody else deletes it at this moment. When the runner cannot do it, the snapshot stays and it throws. */
async function removeSnapshot(context: ApiContext, { id }: SnapshotRecord): Promise<boolean> {
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
