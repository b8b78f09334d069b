import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addListEventsRoute } from './list.ts';
import { addListForSandboxRoute } from './list-for-sandbox.ts';

/** Routes for the lifecycle events of sandboxes. */
export function addEventRoutes(app: ApiApp, context: ApiContext): void {
  addListEventsRoute(app, context);
  addListForSandboxRoute(app, context);
}
