import type { ApiContext } from '../context.ts';
import { callRunner } from '../runner/call.ts';
import type { WantedCopies } from '../volumes/own-volumes.ts';

/**
 * The volumes of which each sandbox of a snapshot gets clones: with `isAsked` all that can change, else those that the
 * snapshot has for this. Undefined: the sandboxes share what the snapshot has. Throws `snapshot_not_found`.
 */
export async function clonesOfSnapshot(
  { runner }: ApiContext,
  snapshotId: string,
  isAsked: boolean,
): Promise<Pick<WantedCopies, 'volumeIds' | 'withSnapshots'> | undefined> {
  const { snapshot } = await callRunner((options) => runner.getSnapshot({ snapshotId }, options));
  if (snapshot === undefined) return undefined;
  const { ownVolumes, volumes } = snapshot;
  if (!ownVolumes && !isAsked) return undefined;
  // Its own are snapshots of volumes. Who may only read one needs no clone of it.
  const wanted = volumes.filter(({ isBucket, readOnly }) => !isBucket && !(ownVolumes && readOnly));
  return { volumeIds: wanted.map(({ volumeId }) => volumeId), withSnapshots: ownVolumes };
}
