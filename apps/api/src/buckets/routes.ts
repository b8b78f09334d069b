import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addChangeBucketRoute } from './change.ts';
import { addCheckBucketRoute } from './check.ts';
import { addCreateBucketRoute } from './create.ts';
import { addGetBucketRoute } from './get.ts';
import { addListBucketsRoute } from './list.ts';
import { addRemoveBucketRoute } from './remove.ts';

export function addBucketRoutes(app: ApiApp, context: ApiContext): void {
  addListBucketsRoute(app, context);
  addCreateBucketRoute(app, context);
  addGetBucketRoute(app, context);
  addChangeBucketRoute(app, context);
  addRemoveBucketRoute(app, context);
  addCheckBucketRoute(app, context);
}
