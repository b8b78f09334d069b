import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, sandboxParams } from '../http/schemas.ts';
import { checkTimeout, moveDeadline, refusePaused } from './deadline.ts';
import { getLive } from '../lookup/sandbox.ts';
import { killSandbox } from './kill.ts';

export function addSetTimeoutRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/timeout',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Set the timeout of a sandbox, counted from now; 0 ends or pauses it immediately',
        params: sandboxParams,
        body: z.object({ timeout: z.int().min(0).describe('Seconds from now.') }).meta({ id: 'SandboxTimeout' }),
        response: { 204: noContent, ...errors(400, 404, 409, 413, 415, 503) },
      },
    },
    async (request, reply) => {
      const seconds = request.body.timeout;
      checkTimeout(context, seconds);
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      refusePaused(record);
      // Only the runner knows how it would pause.
      const pauses = record.lifecycle.onTimeout === 'pause';
      if (seconds > 0 || pauses) await moveDeadline(context, record, seconds, false);
      else await killSandbox(context, record, 'timeout');
      return reply.code(204).send(null);
    },
  );
}
