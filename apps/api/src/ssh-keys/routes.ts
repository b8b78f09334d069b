import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addPersonalSshKeyRoutes } from './personal-keys.ts';
import { addSshServerRoute } from './show-server.ts';
import { addTeamSshKeyRoutes } from './team-keys.ts';

export function addSshKeyRoutes(app: ApiApp, context: ApiContext): void {
  addSshServerRoute(app, context);
  addTeamSshKeyRoutes(app, context);
  addPersonalSshKeyRoutes(app, context);
}
