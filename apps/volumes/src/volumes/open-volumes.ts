import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createLocks, errorFromNode, isNodeError, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { copyVolume, createVolume, openVolume } from '@soulbox/volumes';
import type { Volume, VolumeOptions } from '@soulbox/volumes';
import type { DiskReserve } from '@soulbox/storage';
import { idleVolumesMax, removedMax, takeoverMs } from '../limits.ts';
import { createCopyCounts } from './copy-counts.ts';
import type { CopyCounts } from './copy-counts.ts';
import { removeFolder } from './remove-folder.ts';
import { listFolder } from './list-folder.ts';
import { sweepGroups } from './sweep-groups.ts';
import { adoptMounts } from './volume-mounts.ts';
import type { VolumeMounts } from './volume-mounts.ts';
import type { VolumePlace } from './volume-place.ts';

export type { VolumePlace } from './volume-place.ts';

/** A volume while it is used. */
export interface UsedVolume {
  readonly volume: Volume;
  /** Aborted when the volume is removed. */
  readonly removed: AbortSignal;
  readonly mounts: VolumeMounts;
}

/** The volumes of a host. This process alone opens them; each is opened by its first call. */
export interface OpenVolumes extends AsyncDisposable {
  /** Throws `volume_not_found` for a volume that was removed. */
  use<T>(place: VolumePlace, work: (used: UsedVolume) => Promise<T>): Promise<T>;
  /**
   * Makes a volume of the same group with the contents that the source has at one moment. Throws `file_exists`, and
   * `volume_not_found` if one of the two was removed.
   */
  copy(source: VolumePlace, copy: { readonly volumeId: string; readonly isReadOnly: boolean }): Promise<void>;
  /** Also for a volume without contents. Ends the calls that use it. */
  remove(place: VolumePlace): Promise<void>;
  /** Whether the volume has contents. */
  exists(place: VolumePlace): boolean;
  /** Bytes of all volumes of a team. */
  teamBytes(teamId: string): Promise<number>;
  /** Ends the mounts of earlier processes that are not among these: their sandboxes ended while no process ran. */
  endMountsExcept(living: ReadonlySet<string>): Promise<void>;
  /** The folder of a group. */
  folderOf(place: Omit<VolumePlace, 'volumeId'>): string;
  /** All volumes that have contents. */
  list(): Promise<VolumePlace[]>;
  /** Those that are open. */
  listOpen(): Iterable<{ readonly place: VolumePlace; readonly volume: Volume }>;
  /** Nothing is removed from the disk in a group with a copy that is being made. */
  readonly copies: CopyCounts;
}

/** What an object store needs to know of the volumes. */
export interface StoreOfVolumes {
  /** Opens the blocks of a group. */
  openBlocks(groupId: string, folder: string): Promise<NonNullable<VolumeOptions['openBlocks']>>;
  /** Called before anything of a volume is removed. */
  noteRemoval(place: VolumePlace): Promise<void>;
  /** Called when a copy is complete. */
  noteCopy(place: VolumePlace): void;
  noteGroupRemoved(groupId: string): void;
}

export interface OpenVolumesOptions {
  readonly reserve: DiskReserve;
  readonly bootId: string;
  readonly store: StoreOfVolumes | undefined;
  readonly logger: Logger;
}

/** The owner of the root of a volume, and of what nobody gives an owner: the usual user of sandboxes. */
export const newOwner = { uid: 1000, gid: 1000 };
const newRoot = { ...newOwner, mode: 0o755 };
/** The calls that write say what is allowed. */
const noQuota = { bytes: undefined, inodes: undefined };

interface Open {
  readonly volume: Volume;
  readonly place: VolumePlace;
  readonly removed: AbortController;
  readonly mounts: VolumeMounts;
  users: number;
  unused: PromiseWithResolvers<undefined> | undefined;
}

/**
 * `<directory>/<team>/<group>/` has volumes that can share blocks, and the blocks. A volume that was not made from another
 * one is a group of its own.
 */
export function createOpenVolumes(
  directory: string,
  { reserve, bootId, store, logger }: OpenVolumesOptions,
): OpenVolumes {
  const open = new Map<string, Open>();
  /**
   * A call that was on its way when its volume was removed must not make an empty one in its place. No id is used twice.
   * The oldest ones are forgotten.
   */
  const removed = new Set<string>();
  /** One at a time is opened, closed or removed, by its id. */
  const locks = createLocks();
  const sizes = new Map<string, Map<string, number>>();
  const copies = createCopyCounts();
  let isStopping = false;
  let isLate = false;
  /** The mounts that there are, once the runner has said so. */
  let living: ReadonlySet<string> | undefined;

  const folderOf = ({ teamId, groupId }: Omit<VolumePlace, 'volumeId'>): string => join(directory, teamId, groupId);
  const refuseRemoved = ({ volumeId }: Pick<VolumePlace, 'volumeId'>): void => {
    if (removed.has(volumeId)) throw new SoulBoxError('volume_not_found', 'The volume was deleted.');
  };
  const hasContents = (place: VolumePlace): boolean =>
    existsSync(join(folderOf(place), place.volumeId, 'metadata.sqlite'));
  const noteSize = ({ place, volume }: Open): void => {
    sizes.get(place.teamId)?.set(place.volumeId, volume.metadata.facts().usage.bytes);
  };
  const openOne = async (place: VolumePlace): Promise<Open> => {
    const { volumeId } = place;
    const folder = folderOf(place);
    await locks.alone(folder, async () => {
      if (hasContents(place)) return;
      await mkdir(folder, { recursive: true, mode: 0o700 });
      createVolume(folder, { id: volumeId, quota: noQuota, root: newRoot });
    });
    const openBlocks = await store?.openBlocks(place.groupId, join(folder, 'blocks'));
    const volume = await openVolume(folder, volumeId, {
      ...{ reserve, logger },
      ...(openBlocks === undefined ? {} : { openBlocks }),
    });
    try {
      if (volume.metadata.facts().quota.bytes !== undefined) await volume.metadata.setQuota(noQuota);
      const mounts = await adoptMounts(volume, { path: join(folder, volumeId, 'mounts.json'), bootId, isLate, living });
      // Files that a killed process was receiving have no name and no holder.
      await volume.removeHolder('');
      return { volume, place, removed: new AbortController(), mounts, users: 0, unused: undefined };
    } catch (error) {
      await volume[Symbol.asyncDispose]();
      throw error;
    }
  };
  const close = async (one: Open): Promise<void> => {
    noteSize(one);
    open.delete(one.place.volumeId);
    await one.volume[Symbol.asyncDispose]();
  };
  /** Closes those that were not used for the longest time. */
  const closeIdle = (): void => {
    const idle = [...open.values()].filter(({ users }) => users === 0);
    for (const one of idle.slice(0, Math.max(0, idle.length - idleVolumesMax)))
      void locks
        .alone(one.place.volumeId, async () => {
          if (one.users === 0 && open.get(one.place.volumeId) === one) await close(one);
        })
        .catch((err: unknown) => logger.error({ err, volumeId: one.place.volumeId }, 'a volume could not be closed'));
  };
  const take = async (place: VolumePlace): Promise<Open> =>
    await locks.alone(place.volumeId, async () => {
      refuseRemoved(place);
      if (isStopping) throw new SoulBoxError('shutting_down', 'The server is stopping. Retry in a moment.');
      const one = open.get(place.volumeId) ?? (await openOne(place));
      one.users += 1;
      // The order of the map is that of the last use.
      open.delete(place.volumeId);
      open.set(place.volumeId, one);
      return one;
    });
  const release = (one: Open): void => {
    one.users -= 1;
    noteSize(one);
    if (one.users > 0) return;
    one.unused?.resolve(undefined);
    closeIdle();
  };
  const whenUnused = async (one: Open): Promise<void> => {
    if (one.users === 0) return;
    one.unused = Promise.withResolvers();
    await one.unused.promise;
  };
  const use: OpenVolumes['use'] = async (place, work) => {
    const one = await take(place);
    try {
      return await work({ volume: one.volume, removed: one.removed.signal, mounts: one.mounts });
    } finally {
      release(one);
    }
  };

  /** The folders of volumes in a group, without that of the blocks. */
  const listGroup = async (folder: string): Promise<string[]> =>
    (await listFolder(folder)).filter((name) => existsSync(join(folder, name, 'metadata.sqlite')));
  const listGroups = async (): Promise<string[]> => {
    const teams = (await listFolder(directory)).filter((name) => !name.startsWith('.'));
    const groups = await Promise.all(
      teams.map(async (teamId) =>
        (await listFolder(join(directory, teamId))).map((groupId) => folderOf({ teamId, groupId })),
      ),
    );
    return groups.flat();
  };
  const removeEmptyGroup = async (place: VolumePlace): Promise<void> =>
    await locks.alone(folderOf(place), async () => {
      const folder = folderOf(place);
      if ((await listGroup(folder)).length > 0) return;
      await removeFolder(folder);
      store?.noteGroupRemoved(place.groupId);
    });
  const expireMounts = async (kept?: ReadonlySet<string>): Promise<void> => {
    for (const { place } of [...open.values()])
      await use(place, async ({ mounts }) => await mounts.expire(kept)).catch((err: unknown) =>
        logger.warn({ err, volumeId: place.volumeId }, 'earlier mounts of a volume could not be ended'),
      );
  };
  const lateness = setTimeout(() => {
    isLate = true;
    void expireMounts();
  }, takeoverMs).unref();
  const sweeping = sweepGroups(listGroups, logger);

  return {
    use,
    async copy(source, { volumeId, isReadOnly }) {
      const folder = folderOf(source);
      await locks.alone(volumeId, async () => {
        refuseRemoved({ volumeId });
        await use(source, async ({ volume }) => {
          const options = { data: folder, id: volumeId, isReadOnly, quota: noQuota };
          using _counted = copies.begin(source.groupId);
          await copyVolume(volume, options).catch((thrown: unknown) => {
            const isFull = isNodeError(thrown) && thrown.code === 'ENOSPC';
            throw isFull ? errorFromNode(thrown, 'The disk has no room for the copy.') : thrown;
          });
        });
      });
      store?.noteCopy({ ...source, volumeId });
      if (sizes.has(source.teamId)) await use({ ...source, volumeId }, async () => await Promise.resolve());
    },
    async remove(place) {
      const { teamId, volumeId } = place;
      await store?.noteRemoval(place);
      removed.add(volumeId);
      for (const oldest of removed) if (removed.size > removedMax) removed.delete(oldest);
      try {
        await locks.alone(volumeId, async () => {
          const one = open.get(volumeId);
          if (one !== undefined) {
            one.removed.abort(new SoulBoxError('volume_not_found', 'The volume was deleted.'));
            await whenUnused(one);
            await close(one);
          }
          // The folder has files of ours only, whatever a volume contains.
          await removeFolder(join(folderOf(place), volumeId));
        });
        await removeEmptyGroup(place);
      } finally {
        sizes.get(teamId)?.delete(volumeId);
      }
    },
    async endMountsExcept(known) {
      living = known;
      await expireMounts(known);
    },
    folderOf,
    async list() {
      const places: VolumePlace[] = [];
      for (const teamId of (await listFolder(directory)).filter((name) => !name.startsWith('.')))
        for (const groupId of await listFolder(join(directory, teamId)))
          for (const volumeId of await listGroup(folderOf({ teamId, groupId })))
            if (!removed.has(volumeId)) places.push({ teamId, groupId, volumeId });
      return places;
    },
    listOpen: () => open.values(),
    copies,
    exists: (place) => !removed.has(place.volumeId) && hasContents(place),
    async teamBytes(teamId) {
      let known = sizes.get(teamId);
      if (known === undefined) {
        known = new Map<string, number>();
        sizes.set(teamId, known);
        for (const groupId of await listFolder(join(directory, teamId)))
          for (const volumeId of await listGroup(folderOf({ teamId, groupId })))
            if (!removed.has(volumeId)) await use({ teamId, groupId, volumeId }, async () => await Promise.resolve());
      }
      for (const one of open.values()) noteSize(one);
      return [...known.values()].reduce((sum, bytes) => sum + bytes, 0);
    },
    async [Symbol.asyncDispose]() {
      isStopping = true;
      clearTimeout(lateness);
      await sweeping[Symbol.asyncDispose]();
      for (const one of open.values()) {
        await whenUnused(one);
        await close(one).catch((err: unknown) =>
          logger.error({ err, volumeId: one.place.volumeId }, 'a volume could not be closed'),
        );
      }
    },
  };
}
