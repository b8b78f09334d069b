import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addTeamLimitRoutes } from './limits.ts';
import { addListTeamsRoute } from './list.ts';
import { addTeamMetricsRoute } from './show-metrics.ts';
import { addTeamUsageRoute } from './show-usage.ts';

export function addTeamRoutes(app: ApiApp, context: ApiContext): void {
  addListTeamsRoute(app, context);
  addTeamUsageRoute(app, context);
  addTeamMetricsRoute(app, context);
  addTeamLimitRoutes(app, context);
}
