import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addExportAuditRoute } from './export.ts';
import { addListAuditRoute } from './list.ts';
import { addShowLogRoutes } from './show-log.ts';

/** Routes for the audit log of a team. */
export function addAuditRoutes(app: ApiApp, context: ApiContext): void {
  addExportAuditRoute(app, context);
  addListAuditRoute(app, context);
  addShowLogRoutes(app, context);
}
