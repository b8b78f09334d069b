import { callerOf } from '../auth/authenticate.ts';
import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { pageSchema, readPage } from './read-page.ts';

export function addListEventsRoute(app: ApiApp, context: ApiContext): void {
  app.get(
    '/events/sandboxes',
    {
      schema: { tags: ['events'], summary: "Lifecycle events of the team's sandboxes, newest first", ...pageSchema },
    },
    (request, reply) =>
      readPage(context, { caller: callerOf(request), sandboxId: undefined, query: request.query }, reply),
  );
}
