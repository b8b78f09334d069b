import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { getSnapshot, snapshotParams } from '../lookup/snapshot.ts';
import { checkTimeout } from './deadline.ts';
import { clonesOfSnapshot } from './clones-of-snapshot.ts';
import { copyOnce, forkCallSchema, forkFacts, makeCopies } from './make-copies.ts';

export function addForkSnapshotRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/snapshots/:snapshotID/fork',
    {
      config: { auditFacts: forkFacts },
      schema: {
        tags: ['snapshots'],
        summary: 'Create sandboxes from a snapshot, with its memory and files. SoulBox extension.',
        params: snapshotParams,
        ...forkCallSchema,
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      checkTimeout(context, request.body.timeout);
      const results = await copyOnce(context, request, reply, request.body, async (creationId) => {
        const snapshot = await getSnapshot(context, caller.team, request.params.snapshotID);
        const clones = await clonesOfSnapshot(context, snapshot.id, request.body.volumes === 'clone');
        const source = { case: 'snapshotId', value: snapshot.id, memoryMb: snapshot.memoryMb, clones } as const;
        return await makeCopies(context, caller, source, { ...request.body, creationId });
      });
      return reply.code(201).send(results);
    },
  );
}
