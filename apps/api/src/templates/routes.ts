import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addAssignTagsRoute } from './assign-tags.ts';
import { addChangeTemplateRoutes } from './change.ts';
import { addFindByAliasRoute } from './find-by-alias.ts';
import { addGetTemplateRoute } from './get.ts';
import { addListTemplateRoutes } from './list.ts';
import { addListTagsRoute } from './list-tags.ts';
import { addRemoveTemplateRoute } from './remove.ts';
import { addRemoveTagsRoute } from './remove-tags.ts';
import { addRequestBuildRoutes } from './request-build.ts';

/** Routes for templates, their names and tags. */
export function addTemplateRoutes(app: ApiApp, context: ApiContext): void {
  addListTemplateRoutes(app, context);
  addGetTemplateRoute(app, context);
  addFindByAliasRoute(app, context);
  addChangeTemplateRoutes(app, context);
  addRemoveTemplateRoute(app, context);
  addListTagsRoute(app, context);
  addAssignTagsRoute(app, context);
  addRemoveTagsRoute(app, context);
  addRequestBuildRoutes(app, context);
}
