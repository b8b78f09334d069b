import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addLearnedPolicyRoute } from './learned-policy.ts';
import { addListConnectionsRoute } from './list.ts';

/** Routes for the connections of sandboxes to the outside. */
export function addConnectionRoutes(app: ApiApp, context: ApiContext): void {
  addListConnectionsRoute(app, context);
  addLearnedPolicyRoute(app, context);
}
