import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addCreateVolumeRoute } from './create.ts';
import { addGetVolumeRoute } from './get.ts';
import { addListVolumesRoute } from './list.ts';
import { addRemoveVolumeRoute } from './remove.ts';
import { addVolumeUsageRoute } from './show-usage.ts';

export function addVolumeRoutes(app: ApiApp, context: ApiContext): void {
  addListVolumesRoute(app, context);
  addCreateVolumeRoute(app, context);
  addGetVolumeRoute(app, context);
  addVolumeUsageRoute(app, context);
  addRemoveVolumeRoute(app, context);
}
