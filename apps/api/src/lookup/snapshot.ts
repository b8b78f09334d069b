import { SoulBoxError } from '@soulbox/base';
import type { SnapshotRecord, TeamRecord } from '@soulbox/storage';
import { z } from 'zod';
import type { ApiContext } from '../context.ts';
import { quoteForError } from '../http/quote-for-error.ts';
import { defaultTag, isOwnNamespace, parseTemplateReference } from '../names/reference.ts';

export const snapshotParams = z.object({ snapshotID: z.string().describe('The id as listed, percent-encoded.') });

/**
 * The team's snapshot for a reference: `<id>`, `<id>:default`, `name`, `name:tag` or `team/name:tag`. Undefined for
 * anything else, including another team's snapshot.
 */
export async function findSnapshot(
  context: ApiContext,
  team: TeamRecord,
  text: string,
): Promise<SnapshotRecord | undefined> {
  const reference = parseTemplateReference(text);
  if (reference === undefined || !isOwnNamespace(team, reference.namespace)) return undefined;
  const { name, tag = defaultTag, namespace } = reference;
  const named = await context.records.snapshots.findByName(team.id, name, tag);
  if (named !== undefined || namespace !== undefined || tag !== defaultTag) return named;
  return context.records.snapshots.findById(team.id, name);
}

/** The same. Throws `snapshot_not_found`. */
export async function getSnapshot(context: ApiContext, team: TeamRecord, text: string): Promise<SnapshotRecord> {
  const snapshot = await findSnapshot(context, team, text);
  if (snapshot !== undefined) return snapshot;
  throw snapshotNotFound(text);
}

export function snapshotNotFound(text: string): SoulBoxError {
  return new SoulBoxError('snapshot_not_found', `Snapshot ${quoteForError(text)} was not found.`);
}
