import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addCreateTokenRoute } from './create.ts';
import { addListTokensRoute } from './list.ts';
import { addRevokeTokenRoute } from './revoke.ts';

export function addPersonalTokenRoutes(app: ApiApp, context: ApiContext): void {
  addListTokensRoute(app, context);
  addCreateTokenRoute(app, context);
  addRevokeTokenRoute(app, context);
}
