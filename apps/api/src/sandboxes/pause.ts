import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, sandboxParams, timingsQuery } from '../http/schemas.ts';
import { runnerStateMs } from '../limits.ts';
import { limitsForRunner } from '../teams/usage.ts';
import { callRunner } from '../runner/call.ts';
import { factsFromRunner } from '../runner/sandbox-facts.ts';
import { getLive, goneFromRunner, withRow } from '../lookup/sandbox.ts';

const pauseSchema = z
  .object({
    memory: z
      .boolean()
      .default(true)
      .describe('False keeps only the files; a resume then boots the sandbox from them.'),
    durability: z
      .enum(['on-return', 'in-background'])
      .optional()
      .describe(
        'When to respond: once the checkpoint is safe on the disk, or as soon as the sandbox is frozen. ' +
          'Default: the setting of the server. SoulBox extension.',
      ),
  })
  .meta({ id: 'SandboxPauseRequest' });

export function addPauseRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/pause',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Pause a running sandbox: save it and end its processes; 409 if it is already paused',
        params: sandboxParams,
        querystring: timingsQuery,
        body: pauseSchema.nullish(),
        response: { 204: noContent, ...errors(400, 404, 409, 413, 415, 501, 503) },
      },
    },
    async (request, reply) => {
      const { memory = true, durability = '' } = request.body ?? {};
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      // The runner decides whether the step is legal, because only it knows the steps in progress.
      const teamLimits = limitsForRunner(await context.quotas.limitsOf(record.teamId));
      const pause = { sandboxId: record.id, keepMemory: memory, durability, teamLimits };
      const { sandbox } = await withRow(context, record, () =>
        callRunner((options) => context.runner.pauseSandbox(pause, options), runnerStateMs),
      );
      if (sandbox === undefined) throw await goneFromRunner(context, record);
      await context.records.sandboxes.put(factsFromRunner(sandbox), context.clock.now());
      context.logger.info({ sandboxId: record.id, memory }, 'sandbox paused');
      return reply.code(204).send(null);
    },
  );
}
