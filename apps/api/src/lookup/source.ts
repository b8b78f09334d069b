import type { TeamRecord } from '@soulbox/storage';
import { getTaggedBuild } from './build.ts';
import { runnerIdOf } from '../names/build-id.ts';
import type { ApiContext } from '../context.ts';
import { findSnapshot } from './snapshot.ts';
import { getOrMakeTemplate } from './make-missing.ts';
import { findTemplate } from './template.ts';

/** The source of a create, in the runner's terms. */
export interface Source {
  /** Shown as `templateID`: the id of the template or of the snapshot. */
  readonly templateId: string;
  /** Shown as `alias`; empty for a source without a name. */
  readonly alias: string;
  /** Empty for a template of the store. */
  readonly snapshotId: string;
  /**
   * The name by which a template of the store was found, possibly in a remembered list. Empty when it was found by its
   * id, and for other sources.
   */
  readonly storeName: string;
  /** True for a built template, which counts its sandboxes. */
  readonly isBuilt: boolean;
  /** MiB of memory of its sandboxes. */
  readonly memoryMb: number;
}

/**
 * The snapshot or template that a create names. As in E2B, the team's own ones take precedence over shared ones. Throws
 * the errors of `getOrMakeTemplate`.
 */
export async function getSource(context: ApiContext, team: TeamRecord, text: string): Promise<Source> {
  const snapshot = await findSnapshot(context, team, text);
  if (snapshot !== undefined) {
    const { id, name, memoryMb } = snapshot;
    return { templateId: id, alias: name, snapshotId: id, storeName: '', isBuilt: false, memoryMb };
  }
  const remembered = await findTemplate(context, team, text, 'remembered');
  const found = remembered ?? (await getOrMakeTemplate(context, team, text));
  if (found.kind === 'store') {
    const { template, alias, isByName } = found;
    const storeName = isByName ? alias : '';
    const { templateId, memoryMb } = template;
    return { templateId, alias, snapshotId: '', storeName, isBuilt: false, memoryMb };
  }
  const { template, tag } = found;
  const build = await getTaggedBuild(context, template, tag, text);
  const { id, name } = template;
  return {
    templateId: id,
    alias: name,
    snapshotId: runnerIdOf(build.id),
    storeName: '',
    isBuilt: true,
    memoryMb: build.memoryMb,
  };
}
