import { addApiKeyRoutes } from './api-keys/routes.ts';
import type { ApiContext } from './context.ts';
import { addHealthRoute } from './health.ts';
import type { ApiApp } from './http/app.ts';
import { addOpenApiRoute } from './http/openapi.ts';
import { addLaterRoutes } from './later-routes.ts';
import { addPrometheusRoute } from './prometheus/routes.ts';
import { addConnectRoutes } from './sandboxes/connect.ts';
import { addCreateRoutes } from './sandboxes/create.ts';
import { addGetRoute } from './sandboxes/get.ts';
import { addKillRoute } from './sandboxes/kill.ts';
import { addListRoutes } from './sandboxes/list.ts';
import { addLogRoutes } from './sandboxes/logs.ts';
import { addMetricRoutes } from './sandboxes/metrics.ts';
import { addTimeoutRoutes } from './sandboxes/timeout.ts';
import { addTeamRoutes } from './teams/routes.ts';
import { addTemplateRoutes } from './templates/routes.ts';

/** The whole surface of the control plane. */
export function addRoutes(app: ApiApp, context: ApiContext): void {
  addHealthRoute(app);
  addCreateRoutes(app, context);
  addListRoutes(app, context);
  addGetRoute(app, context);
  addKillRoute(app, context);
  addConnectRoutes(app, context);
  addTimeoutRoutes(app, context);
  addMetricRoutes(app, context);
  addLogRoutes(app, context);
  addTemplateRoutes(app, context);
  addApiKeyRoutes(app, context);
  addTeamRoutes(app, context);
  addPrometheusRoute(app, context);
  addLaterRoutes(app);
  if (context.config.openApi) addOpenApiRoute(app);
}
