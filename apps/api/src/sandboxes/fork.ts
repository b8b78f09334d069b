import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { sandboxParams } from '../http/schemas.ts';
import { getLive, refuseFunctions, withRow } from '../lookup/sandbox.ts';
import { checkTimeout } from './deadline.ts';
import { copyOnce, forkCallSchema, forkFacts, makeCopies } from './make-copies.ts';
import { isVolume } from './to-wire.ts';

export function addForkRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/fork',
    {
      config: { auditFacts: forkFacts },
      schema: {
        tags: ['sandboxes'],
        summary: 'Fork a running or paused sandbox: copies with its memory and files',
        params: sandboxParams,
        ...forkCallSchema,
      },
    },
    async (request, reply) => {
      const caller = callerOf(request);
      checkTimeout(context, request.body.timeout);
      const results = await copyOnce(context, request, reply, request.body, async (creationId) => {
        const record = await getLive(context, caller, request.params.sandboxID);
        refuseFunctions(record);
        const volumeIds = record.volumes.filter(isVolume).map(({ volumeId }) => volumeId);
        const clones = request.body.volumes === 'clone' ? { volumeIds, withSnapshots: false } : undefined;
        const source = { case: 'sandboxId', value: record.id, memoryMb: record.memoryMb, clones } as const;
        return await withRow(context, record, () =>
          makeCopies(context, caller, source, { ...request.body, creationId }),
        );
      });
      return reply.code(201).send(results);
    },
  );
}
