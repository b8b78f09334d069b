import type { StoredVolumes } from '@soulbox/volumes/stored';
import type { VolumePlace } from '../volumes/volume-place.ts';
import type { Tombstones } from './tombstones.ts';

export interface RemovalTools {
  readonly stored: StoredVolumes;
  readonly tombstones: Tombstones;
  /** Whether any volume, on this host or in the store, is in the group. */
  readonly isGroupUsed: (groupId: string) => boolean;
  /** Whether a volume of the group is being uploaded, or is there again after a removal that was broken off. */
  readonly isBusy: (place: VolumePlace) => boolean;
  /** The generations of a volume in the store. */
  readonly numbersOf: (volumeId: string) => readonly number[];
  readonly forget: (volumeId: string) => void;
}

/** Removes what the store has of removed volumes. Packs that others may need are left to the collection. */
export async function removeVolumes(tools: RemovalTools, signal: AbortSignal): Promise<void> {
  const { stored, tombstones, isGroupUsed, isBusy, numbersOf, forget } = tools;
  for (const place of await tombstones.list()) {
    const { volumeId, groupId } = place;
    if (isBusy(place)) continue;
    for (const number of numbersOf(volumeId)) await stored.generations.delete(volumeId, number, signal);
    forget(volumeId);
    if (!isGroupUsed(groupId))
      for await (const { pack } of stored.packs.list(groupId, signal)) await stored.packs.delete(groupId, pack, signal);
    await tombstones.remove(volumeId);
  }
}
