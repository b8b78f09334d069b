import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addListSnapshotsRoute } from './list.ts';
import { addMakeSnapshotRoute } from './make.ts';
import { addRemoveSnapshotRoute } from './remove.ts';

export function addSnapshotRoutes(app: ApiApp, context: ApiContext): void {
  addMakeSnapshotRoute(app, context);
  addListSnapshotsRoute(app, context);
  addRemoveSnapshotRoute(app, context);
}
