import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addCreateKeyRoute } from './create.ts';
import { addListKeysRoute } from './list.ts';
import { addRenameKeyRoute } from './rename.ts';
import { addRevokeKeyRoute } from './revoke.ts';

export function addApiKeyRoutes(app: ApiApp, context: ApiContext): void {
  addListKeysRoute(app, context);
  addCreateKeyRoute(app, context);
  addRenameKeyRoute(app, context);
  addRevokeKeyRoute(app, context);
}
