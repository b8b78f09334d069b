import { SoulBoxError } from '@soulbox/base';
import { callApi } from '../../api/call.ts';
import type { ApiConnection } from '../../api/connection.ts';
import type { ApiTemplateWithBuilds } from '../../api/wire.ts';

export const buildArg = {
  type: 'positional',
  required: false,
  description: 'Id of the build, as in `soulbox template show` (default: the newest)',
} as const;

/** The path of a build of a template: of the newest one without an id. Throws `build_not_found` if there is none. */
export async function findBuild(api: ApiConnection, template: string, buildId: string | undefined): Promise<string> {
  // Builds are found by the id of their template only.
  const path = `/templates/${encodeURIComponent(template)}`;
  const { body } = await callApi<ApiTemplateWithBuilds>(api, { path });
  const id = buildId ?? body.builds[0]?.buildID;
  if (id === undefined) throw new SoulBoxError('build_not_found', `The template ${template} has no build.`);
  return `/templates/${encodeURIComponent(body.templateID)}/builds/${encodeURIComponent(id)}`;
}
