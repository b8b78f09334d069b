import { join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { collectPacks } from '@soulbox/volumes/stored';
import type { LocalGroup, StoredVolumes } from '@soulbox/volumes/stored';
import type { OpenVolumes } from '../volumes/open-volumes.ts';
import type { VolumePlace } from '../volumes/volume-place.ts';
import { namedPacks } from './named-packs.ts';
import { removeVolumes } from './remove-volumes.ts';
import type { NewestGeneration, Rewrites } from './rewrites.ts';
import type { Tombstones } from './tombstones.ts';
import type { UploadLimits } from './upload-limits.ts';
import { requestGeneration } from './volume-states.ts';
import type { VolumeState } from './volume-states.ts';

export interface UpkeepOptions {
  readonly stored: StoredVolumes;
  readonly states: Map<string, VolumeState>;
  readonly tombstones: Tombstones;
  /** Throws `storage_taken` if another server writes at this place. */
  readonly checkPlace: (signal: AbortSignal) => Promise<void>;
  /** Whether a volume of a group is being uploaded. */
  readonly isActive: (groupId: string) => boolean;
  readonly rewrites: Rewrites;
  readonly limits: UploadLimits;
  readonly logger: Logger;
}

/** What is removed: volumes from the store, blocks from the disk, and packs that nothing needs, or mostly. */
export interface Upkeep {
  /** Does what is due. One call at a time. */
  run(volumes: OpenVolumes, signal: AbortSignal): Promise<void>;
}

const now = (): number => performance.now();

export function createUpkeep(options: UpkeepOptions): Upkeep {
  const { stored, states, tombstones, checkPlace, isActive, rewrites, limits, logger } = options;
  /** Of each group, since when nothing names a pack. */
  const waiting = new Map<string, Map<string, number>>();
  let nextTrimMs = 0;
  let nextCollectMs = now() + limits.collectMs;

  const membersOf = (groupId: string): VolumeState[] =>
    [...states.values()].filter(({ place }) => place.groupId === groupId);
  const remove = async (volumes: OpenVolumes, signal: AbortSignal): Promise<void> => {
    await checkPlace(signal);
    await removeVolumes(
      {
        ...{ stored, tombstones },
        isGroupUsed: (groupId) => membersOf(groupId).length > 0,
        isBusy: (place) => isActive(place.groupId) || volumes.exists(place),
        numbersOf: (volumeId) => states.get(volumeId)?.numbers ?? [],
        forget: (volumeId) => void states.delete(volumeId),
      },
      signal,
    );
  };
  const trim = async (volumes: OpenVolumes): Promise<void> => {
    const startedAt = now();
    const groupOf = (place: VolumePlace): LocalGroup => {
      const data = volumes.folderOf(place);
      const blocks = stored.group(place.groupId, join(data, 'blocks'));
      const sync = async (): Promise<void> => {
        for (const { place: other, volume } of [...volumes.listOpen()])
          if (other.groupId === place.groupId) await volume.sync();
      };
      return { data, blocks, sync, copies: () => volumes.copies.of(place.groupId) };
    };
    const places = new Map((await volumes.list()).map((place) => [place.groupId, place]));
    const { blocks, bytes } = await stored.cache.trim([...places.values()].map(groupOf));
    if (blocks > 0) logger.info({ blocks, bytes }, 'blocks that are in the object store were removed from the disk');
    nextTrimMs = now() + Math.max(limits.trimMs, (now() - startedAt) * limits.pauseFactor);
  };
  const collectGroup = async (volumes: OpenVolumes, groupId: string, signal: AbortSignal): Promise<void> => {
    const members = membersOf(groupId);
    const [first] = members;
    // What is being uploaded or copied is not named yet.
    if (first === undefined || isActive(groupId) || volumes.copies.of(groupId) === undefined) return;
    await checkPlace(signal);
    const since = waiting.get(groupId) ?? new Map<string, number>();
    waiting.set(groupId, since);
    const data = volumes.folderOf(first.place);
    const newest = new Map<string, NewestGeneration>();
    /** Packs with blocks that older generations name. */
    const older = new Map<string, Set<string>>();
    const deleted = await collectPacks({
      ...{ group: groupId, packs: stored.packs, generations: stored.generations, waiting: since, signal },
      kept: new Map(members.map(({ place, numbers }) => [place.volumeId, numbers])),
      named: await namedPacks(data),
      forget: (packs) => {
        stored.group(groupId, join(data, 'blocks')).forgetStored(packs);
      },
      onGeneration(generation, body) {
        const { volumeId } = generation;
        const before = older.get(volumeId) ?? new Set();
        for (const pack of newest.get(volumeId)?.body.packs ?? []) before.add(pack);
        older.set(volumeId, before);
        newest.set(volumeId, { generation, body });
      },
      ...{ graceMs: limits.graceMs, nowMs: now() },
    });
    if (deleted > 0) logger.info({ groupId, deleted }, 'packs that no volume needs were deleted from the object store');
    // What only older generations have would stay as long as nobody changes the volume.
    for (const member of members) {
      const { volumeId } = member.place;
      const present = new Set(newest.get(volumeId)?.body.packs);
      const isOlder = [...(older.get(volumeId) ?? [])].some((pack) => !present.has(pack));
      if (isOlder && volumes.exists(member.place)) requestGeneration(member, now());
    }
    await rewrites.plan(volumes, members, newest);
  };
  const collect = async (volumes: OpenVolumes, signal: AbortSignal): Promise<void> => {
    nextCollectMs = now() + limits.collectMs;
    const groups = new Set([...states.values()].map(({ place }) => place.groupId));
    for (const known of waiting.keys()) if (!groups.has(known)) waiting.delete(known);
    for (const groupId of groups)
      try {
        await collectGroup(volumes, groupId, signal);
      } catch (err) {
        if (signal.aborted) throw err;
        logger.warn({ err, groupId }, 'packs of a group of volumes could not be collected yet');
      }
  };
  return {
    async run(volumes, signal) {
      await remove(volumes, signal);
      if (now() > nextTrimMs) await trim(volumes);
      if (now() > nextCollectMs) await collect(volumes, signal);
      await rewrites.run(volumes, signal);
    },
  };
}
