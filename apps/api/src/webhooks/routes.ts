import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addChangeWebhookRoute } from './change.ts';
import { addCreateWebhookRoute } from './create.ts';
import { addGetWebhookRoute } from './get.ts';
import { addListWebhooksRoute } from './list.ts';
import { addRemoveWebhookRoute } from './remove.ts';

export function addWebhookRoutes(app: ApiApp, context: ApiContext): void {
  addListWebhooksRoute(app, context);
  addCreateWebhookRoute(app, context);
  addGetWebhookRoute(app, context);
  addChangeWebhookRoute(app, context);
  addRemoveWebhookRoute(app, context);
}
