import { z } from 'zod';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { errors, noContent, sandboxParams } from '../http/schemas.ts';
import { moveDeadline } from './deadline.ts';
import { getLive } from '../lookup/sandbox.ts';

/** Default duration of a refresh, the same as for `POST /sandboxes`. Seconds. */
const refreshDefaultSeconds = 15;

export function addRefreshRoute(app: ApiApp, context: ApiContext): void {
  app.post(
    '/sandboxes/:sandboxID/refreshes',
    {
      schema: {
        tags: ['sandboxes'],
        summary: 'Extend the life of a sandbox (very old clients)',
        params: sandboxParams,
        body: z
          .object({ duration: z.int().min(0).max(3600).default(refreshDefaultSeconds).describe('Seconds from now.') })
          .meta({ id: 'SandboxRefresh' })
          .nullish(),
        response: { 204: noContent, ...errors(400, 404, 409, 413, 415, 503) },
      },
    },
    async (request, reply) => {
      const record = await getLive(context, callerOf(request), request.params.sandboxID);
      await moveDeadline(context, record, request.body?.duration ?? refreshDefaultSeconds, true);
      return reply.code(204).send(null);
    },
  );
}
