import { addApiKeyRoutes } from './api-keys/routes.ts';
import { addAuditRoutes } from './audit/routes.ts';
import { addBuildFileRoutes } from './build-files/routes.ts';
import { addBuildRoutes } from './builds/routes.ts';
import type { ApiContext } from './context.ts';
import { addEventRoutes } from './events/routes.ts';
import { addFunctionRoutes } from './functions/routes.ts';
import { addStageBackupRoute } from './host/stage-backup.ts';
import { addHealthRoute } from './health.ts';
import type { ApiApp } from './http/app.ts';
import { addOpenApiRoute } from './http/openapi.ts';
import { addKvRoutes } from './kv/routes.ts';
import { addLaterRoutes } from './later-routes.ts';
import { addPages } from './pages/routes.ts';
import { addPrometheusRoute } from './prometheus/routes.ts';
import { addRunRoute } from './runs/run.ts';
import { addSandboxRoutes } from './sandboxes/routes.ts';
import { addSignedUrlRoutes } from './signed-urls/routes.ts';
import { addSecretRoutes } from './secrets/routes.ts';
import { addSnapshotRoutes } from './snapshots/routes.ts';
import { addTeamRoutes } from './teams/routes.ts';
import { addTemplateRoutes } from './templates/routes.ts';
import { addWebhookRoutes } from './webhooks/routes.ts';

/** All routes of the control plane. The `routes.ts` of a resource lists its operations, each in its own file. */
export async function addRoutes(app: ApiApp, context: ApiContext): Promise<void> {
  await addPages(app, context);
  addHealthRoute(app);
  addSandboxRoutes(app, context);
  addRunRoute(app, context);
  addSnapshotRoutes(app, context);
  addTemplateRoutes(app, context);
  addBuildFileRoutes(app, context);
  addBuildRoutes(app, context);
  addEventRoutes(app, context);
  addWebhookRoutes(app, context);
  addSecretRoutes(app, context);
  addApiKeyRoutes(app, context);
  addSignedUrlRoutes(app, context);
  addTeamRoutes(app, context);
  addFunctionRoutes(app, context);
  addKvRoutes(app, context);
  addAuditRoutes(app, context);
  addPrometheusRoute(app, context);
  addStageBackupRoute(app, context);
  addLaterRoutes(app);
  if (context.config.openApi) addOpenApiRoute(app);
}
