import { randomId } from '@soulbox/base';
import type { TeamRecord, VolumeRecord } from '@soulbox/storage';
import type { ApiContext } from '../context.ts';
import { getVolume } from '../lookup/volume.ts';
import { giveUpCopy } from './give-up-copy.ts';
import { refuseUnlessCreated } from './refuse-unless-created.ts';
import { getVolumeService, volumeNameMax } from './schemas.ts';
import { settleOwnVolumes } from './settle-own-volumes.ts';
import { explainTeamBytes } from './team-bytes.ts';

/** The copies of volumes for one sandbox, in the form of the runner. */
export interface OwnVolumes {
  readonly copies: readonly { readonly volumeId: string; readonly copyId: string; readonly name: string }[];
}

/** The message has lists that can be changed. */
export const ownVolumesToRunner = ({ copies }: OwnVolumes) => ({ copies: [...copies] });

export interface WantedCopies {
  /** Volumes of the source. Each one is copied once for each set, however often it is named. */
  readonly volumeIds: readonly string[];
  readonly sets: number;
  readonly areReadOnly: boolean;
  /** Whether volumes that nothing can change are copied too. Otherwise they are shared. */
  readonly withSnapshots: boolean;
}

/**
 * Chooses ids and names of copies of volumes, which `work` has the runner make while it makes sandboxes or a snapshot.
 * They can be found when it has succeeded, except those that `usedBy` does not name. A kill of this process in between
 * leaves copies that nobody finds; `settleOwnVolumes` keeps those that something mounts, and removes the others. Throws
 * `limit_exceeded`, `volume_not_found`, and the error of `work`.
 */
export async function withOwnVolumes<T>(
  context: ApiContext,
  team: TeamRecord,
  wanted: WantedCopies,
  work: (sets: readonly OwnVolumes[]) => Promise<T>,
  usedBy: (answer: T) => Iterable<string>,
): Promise<T> {
  getVolumeService(context);
  using _slot = context.transfers.take('volume clone', team.id);
  const { volumeCopiesUnderway: underway, records } = context;
  const begun: VolumeRecord[] = [];
  try {
    const sets = await beginCopies(context, team, wanted, begun);
    const answer = await work(sets);
    const used = new Set(usedBy(answer));
    for (const copy of begun)
      if (used.has(copy.id)) await records.volumes.finishCopy(copy.id);
      else await giveUpCopy(context, copy);
    return answer;
  } catch (thrown) {
    for (const { id } of begun) underway.delete(id);
    // The error alone does not say whether the runner has made something that mounts them.
    await settleOwnVolumes(context);
    throw explainTeamBytes(thrown);
  } finally {
    for (const { id } of begun) underway.delete(id);
  }
}

/** `begun` gets what must be finished or given up, also if this throws. */
async function beginCopies(
  context: ApiContext,
  team: TeamRecord,
  wanted: WantedCopies,
  begun: VolumeRecord[],
): Promise<OwnVolumes[]> {
  const sets: OwnVolumes[] = [];
  const sources = await findSources(context, team, wanted);
  for (let set = 0; set < wanted.sets; set += 1) {
    const copies = [];
    for (const source of sources) {
      const copy = copyOf(source, wanted.areReadOnly, context.clock.now());
      context.volumeCopiesUnderway.add(copy.id);
      begun.push(copy);
      await beginCopy(context, copy);
      copies.push({ volumeId: source.id, copyId: copy.id, name: copy.name });
    }
    sets.push({ copies });
  }
  return sets;
}

async function findSources(
  context: ApiContext,
  team: TeamRecord,
  { volumeIds, withSnapshots }: WantedCopies,
): Promise<VolumeRecord[]> {
  const sources: VolumeRecord[] = [];
  for (const id of new Set(volumeIds)) {
    const source = await getVolume(context, team, id);
    if (withSnapshots || !source.isReadOnly) sources.push(source);
  }
  return sources;
}

function copyOf(source: VolumeRecord, isReadOnly: boolean, createdAt: number): VolumeRecord {
  const suffix = `-${randomId(8)}`;
  const name = source.name.slice(0, volumeNameMax - suffix.length) + suffix;
  return {
    ...source,
    id: `v${randomId(20)}`,
    name,
    sourceId: source.id,
    isReadOnly,
    createdAt,
    creationId: '',
    isUsed: true,
  };
}

async function beginCopy({ records, quotas }: ApiContext, copy: VolumeRecord): Promise<void> {
  const { volumes: limit } = await quotas.limitsOf(copy.teamId);
  refuseUnlessCreated(await records.volumes.beginCopy(copy, limit), copy.name, limit);
}
