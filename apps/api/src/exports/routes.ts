import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addExportSandboxRoute } from './export-sandbox.ts';
import { addExportSnapshotRoute } from './export-snapshot.ts';
import { addImportRoute } from './import.ts';

export function addExportRoutes(app: ApiApp, context: ApiContext): void {
  addExportSandboxRoute(app, context);
  addExportSnapshotRoute(app, context);
  addImportRoute(app, context);
}
