import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addConnectRoutes } from './connect.ts';
import { addCreateRoutes } from './create.ts';
import { addForkRoute } from './fork.ts';
import { addForkSnapshotRoute } from './fork-snapshot.ts';
import { addGetRoute } from './get.ts';
import { addKillRoute } from './kill.ts';
import { addListRoutes } from './list.ts';
import { addLogRoutes } from './logs.ts';
import { addMetricsRoute } from './metrics.ts';
import { addCustomMetricsRoute } from './metrics-custom.ts';
import { addMetricsHistoryRoute } from './metrics-history.ts';
import { addNewestMetricsRoute } from './newest-metrics.ts';
import { addPauseRoute } from './pause.ts';
import { addRefreshRoute } from './refresh.ts';
import { addSetNetworkRoute } from './set-network.ts';
import { addSetTimeoutRoute } from './set-timeout.ts';

/** Routes for the lifecycle and observation of sandboxes. */
export function addSandboxRoutes(app: ApiApp, context: ApiContext): void {
  addCreateRoutes(app, context);
  addListRoutes(app, context);
  addGetRoute(app, context);
  addKillRoute(app, context);
  addPauseRoute(app, context);
  addConnectRoutes(app, context);
  addForkRoute(app, context);
  addForkSnapshotRoute(app, context);
  addSetTimeoutRoute(app, context);
  addSetNetworkRoute(app, context);
  addRefreshRoute(app, context);
  addMetricsRoute(app, context);
  addMetricsHistoryRoute(app, context);
  addCustomMetricsRoute(app, context);
  addNewestMetricsRoute(app, context);
  addLogRoutes(app, context);
}
