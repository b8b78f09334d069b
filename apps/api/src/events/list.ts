import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { pageSchema, sendEvents } from './send-events.ts';

export function addListEventsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/events/sandboxes',
    {
      schema: { tags: ['events'], summary: "Lifecycle events of the team's sandboxes, newest first", ...pageSchema },
    },
    (request, reply) =>
      sendEvents(context, { caller: callerOf(request), sandboxId: undefined, query: request.query }, request, reply),
  );
}
