import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addCreateFunctionRoute } from './create.ts';
import { addDeployFunctionRoute } from './deploy.ts';
import { addGetFunctionRoute } from './get.ts';
import { addInvokeRoute } from './invoke.ts';
import { addListFunctionsRoute } from './list.ts';
import { addListVersionsRoute } from './list-versions.ts';
import { addReadFunctionLogRoute } from './read-log.ts';
import { addRemoveFunctionRoute } from './remove.ts';
import { addRemoveSecretRoute } from './remove-secret.ts';
import { addRollbackFunctionRoute } from './rollback.ts';
import { addSetSecretsRoute } from './set-secrets.ts';

/** Edge functions, which E2B does not have. */
export function addFunctionRoutes(app: ApiApp, context: ApiContext): void {
  addCreateFunctionRoute(app, context);
  addDeployFunctionRoute(app, context);
  addRollbackFunctionRoute(app, context);
  addRemoveFunctionRoute(app, context);
  addListFunctionsRoute(app, context);
  addGetFunctionRoute(app, context);
  addListVersionsRoute(app, context);
  addReadFunctionLogRoute(app, context);
  addSetSecretsRoute(app, context);
  addRemoveSecretRoute(app, context);
  addInvokeRoute(app, context);
}
