import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addFileLinkRoute } from './link.ts';
import { addFileUploadRoute } from './upload.ts';

/** Routes for the archives of COPY steps. */
export function addBuildFileRoutes(app: ApiApp, context: ApiContext): void {
  addFileLinkRoute(app, context);
  addFileUploadRoute(app, context);
}
