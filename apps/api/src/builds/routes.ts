import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addBuildLogsRoute } from './logs.ts';
import { addStartBuildRoute } from './start.ts';
import { addBuildStatusRoute } from './status.ts';

export function addBuildRoutes(app: ApiApp, context: ApiContext): void {
  addStartBuildRoute(app, context);
  addBuildStatusRoute(app, context);
  addBuildLogsRoute(app, context);
}
