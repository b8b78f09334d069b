import type { ApiContext } from '../context.ts';
import type { ApiApp } from '../http/app.ts';
import { addListDirRoute } from './list-dir.ts';
import { addMakeDirRoute } from './make-dir.ts';
import { addReadFileRoute } from './read-file.ts';
import { addRemovePathRoute } from './remove-path.ts';
import { addRenamePathRoute } from './rename-path.ts';
import { addSetAttributesRoute } from './set-attributes.ts';
import { addStatPathRoute } from './stat.ts';
import { addWriteFileRoute } from './write-file.ts';

/** E2B's API for the contents of volumes, under the same address as the control plane. */
export function addVolumeContentRoutes(app: ApiApp, context: ApiContext): void {
  addListDirRoute(app, context);
  addMakeDirRoute(app, context);
  addStatPathRoute(app, context);
  addSetAttributesRoute(app, context);
  addRemovePathRoute(app, context);
  addRenamePathRoute(app, context);
  addReadFileRoute(app, context);
  addWriteFileRoute(app, context);
}
