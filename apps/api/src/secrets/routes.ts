import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addCreateSecretRoute } from './create.ts';
import { addGetSecretRoute } from './get.ts';
import { addListSecretsRoute } from './list.ts';
import { addRemoveSecretRoute } from './remove.ts';
import { addSetSecretHostsRoute } from './set-hosts.ts';
import { addSecretVersionRoute } from './add-version.ts';

export function addSecretRoutes(app: ApiApp, context: ApiContext): void {
  addListSecretsRoute(app, context);
  addCreateSecretRoute(app, context);
  addGetSecretRoute(app, context);
  addSecretVersionRoute(app, context);
  addSetSecretHostsRoute(app, context);
  addRemoveSecretRoute(app, context);
}
