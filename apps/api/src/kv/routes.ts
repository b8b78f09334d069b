import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addListNamespacesRoute } from './list.ts';
import { addRemoveNamespaceRoute } from './remove.ts';

/** Key-value namespaces of functions. */
export function addKvRoutes(app: ApiApp, context: ApiContext): void {
  addListNamespacesRoute(app, context);
  addRemoveNamespaceRoute(app, context);
}
