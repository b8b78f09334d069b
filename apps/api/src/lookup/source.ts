import type { TeamRecord } from '@soulbox/storage';
import { getTaggedBuild } from './build.ts';
import { runnerIdOf } from '../names/build-id.ts';
import type { ApiContext } from '../context.ts';
import { findSnapshot } from './snapshot.ts';
import { getOrMakeTemplate } from './make-missing.ts';

/** What a create is made from, in the runner's words. */
export interface Source {
  /** Shown as `templateID`: a template's id, or the snapshot's. */
  readonly templateId: string;
  /** Shown as `alias`; empty for one without a name. */
  readonly alias: string;
  /** Empty for a template of the store. */
  readonly snapshotId: string;
  /** Whether it is a template that counts its sandboxes. */
  readonly isBuilt: boolean;
}

/**
 * The snapshot or template that a create names. As at E2B, the team's own things come before those of all. Throws what
 * `getOrMakeTemplate` throws.
 */
export async function getSource(context: ApiContext, team: TeamRecord, text: string): Promise<Source> {
  const snapshot = await findSnapshot(context, team, text);
  if (snapshot !== undefined)
    return { templateId: snapshot.id, alias: snapshot.name, snapshotId: snapshot.id, isBuilt: false };
  const found = await getOrMakeTemplate(context, team, text);
  if (found.kind === 'store')
    return { templateId: found.template.templateId, alias: found.alias, snapshotId: '', isBuilt: false };
  const { template, tag } = found;
  const build = await getTaggedBuild(context, template, tag, text);
  return { templateId: template.id, alias: template.name, snapshotId: runnerIdOf(build.id), isBuilt: true };
}
