import { join } from 'node:path';

/**
 * In the folder of all volumes: what a backup takes. `volumes/<team>/<group>/` has the form of the folder of a group, with
 * links to its blocks; `drafts/` has what is not complete.
 */
export const volumeStageName = '.backup';

export const stagedVolumesName = 'volumes';

/** The folder of a group in a stage. */
export const stagedGroupPath = (stage: string, teamId: string, groupId: string): string =>
  join(stage, stagedVolumesName, teamId, groupId);
