import { parseSandboxId } from '@soulbox/contract';
import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { sandboxParams } from '../http/schemas.ts';
import { pageSchema, sendEvents } from './send-events.ts';

export function addListForSandboxRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/events/sandboxes/:sandboxID',
    {
      schema: {
        tags: ['events'],
        summary: 'Lifecycle events of one sandbox, running or ended; empty for an unknown one',
        params: sandboxParams,
        ...pageSchema,
      },
    },
    async (request, reply) => {
      const sandboxId = parseSandboxId(request.params.sandboxID);
      if (sandboxId === undefined) return [];
      return await sendEvents(context, { caller: callerOf(request), sandboxId, query: request.query }, request, reply);
    },
  );
}
