import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors } from '../http/schemas.ts';
import { getSnapshot, snapshotParams } from '../lookup/snapshot.ts';
import { exportAnswer, exportQuery } from './export-sandbox.ts';
import { sendExport } from './send-export.ts';

export function addExportSnapshotRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/snapshots/:snapshotID/export',
    {
      config: { auth: 'key-or-signature' },
      schema: {
        tags: ['exports'],
        summary: 'A snapshot as one signed file, which another server can import. SoulBox extension.',
        params: snapshotParams,
        querystring: exportQuery,
        response: { 200: exportAnswer, ...errors(400, 404, 429, 503) },
      },
    },
    async (request, reply) => {
      const { id } = await getSnapshot(context, callerOf(request).team, request.params.snapshotID);
      const withMemory = request.query.memory === 'true';
      return await sendExport(context, request, reply, { source: { case: 'snapshotId', value: id }, withMemory });
    },
  );
}
