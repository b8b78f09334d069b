import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addSignRoute } from './sign.ts';
import { addSigningKeyRoutes } from './signing-keys.ts';

/** Signed URLs, which E2B has only for files. */
export function addSignedUrlRoutes(app: ApiApp, context: ApiContext): void {
  addSignRoute(app, context);
  addSigningKeyRoutes(app, context);
}
