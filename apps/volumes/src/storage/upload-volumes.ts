import { join } from 'node:path';
import { errorFromUnknown, sleepUnlessAborted, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { checkOwner, claimOwner } from '@soulbox/vault';
import type { OwnerWords, SealedObjects } from '@soulbox/vault';
import { cleanGroup, countUnstored, generationsKept, readBody, uploadVolume } from '@soulbox/volumes/stored';
import type { Generation, StoredVolumes } from '@soulbox/volumes/stored';
import type { OpenVolumes, StoreOfVolumes } from '../volumes/open-volumes.ts';
import { removeFolder } from '../volumes/remove-folder.ts';
import type { VolumePlace } from '../volumes/volume-place.ts';
import { findChanges } from './read-changes.ts';
import { createRewrites } from './rewrites.ts';
import { openTombstones } from './tombstones.ts';
import { figuresOf } from './upload-figures.ts';
import type { VolumeUploadFigures } from './upload-figures.ts';
import { usualUploadLimits } from './upload-limits.ts';
import type { UploadLimits } from './upload-limits.ts';
import { createUpkeep } from './upkeep.ts';
import { createState, isDue, noteChanges, noteFailure } from './volume-states.ts';
import type { VolumeState } from './volume-states.ts';

export interface VolumeStoreOptions {
  /** Closed with the result. */
  readonly stored: StoredVolumes;
  readonly objects: SealedObjects;
  /** `keyOfRole(…, 'volumes')`. */
  readonly key: Uint8Array;
  readonly owner: OwnerWords;
  /** The folder of all volumes. */
  readonly directory: string;
  readonly logger: Logger;
  readonly limits?: UploadLimits;
}

/** Keeps the object store equal to the volumes of a host, some seconds later. Nothing waits for it. */
export interface VolumeStore extends AsyncDisposable {
  readonly forVolumes: StoreOfVolumes;
  /** Starts the uploads. */
  start(volumes: OpenVolumes): void;
  figures(): VolumeUploadFigures;
}

/** After this time the store is asked again who writes at this place. Milliseconds. */
const ownerEveryMs = 10_000;
/** The list of pieces of a volume that was not uploaded for so long is read again. Milliseconds. */
const bodyKeptMs = 600_000;
const now = (): number => performance.now();

export function createVolumeStore(options: VolumeStoreOptions): VolumeStore {
  const { stored, objects, key, owner, directory, logger, limits = usualUploadLimits } = options;
  const stopping = new AbortController();
  const { signal } = stopping;
  const states = new Map<string, VolumeState>();
  const active = new Map<string, { readonly place: VolumePlace; readonly done: Promise<void> }>();
  const tombstones = openTombstones(join(directory, '.removed'));
  const stage = join(directory, '.stage');
  const cleaned = new Set<string>();
  const counts = { uploads: 0, uploadedBytes: 0, failures: 0 };
  let state: VolumeUploadFigures['state'] = 'starting';
  let reason = '';
  let opened: OpenVolumes | undefined;
  let ownedAtMs = -Infinity;
  let running = Promise.resolve();

  const ofOwner = { key, name: 'volumes/owner' } as const;
  const checkPlace = async (until: AbortSignal): Promise<void> => {
    if (now() - ownedAtMs < ownerEveryMs) return;
    await checkOwner(objects, owner.nonce, { ...ofOwner, signal: until });
    ownedAtMs = now();
  };
  const stateOf = (place: VolumePlace): VolumeState => {
    const present = states.get(place.volumeId) ?? createState(place);
    states.set(place.volumeId, present);
    return present;
  };

  /** What the store has, and what the host has that may be newer. */
  const begin = async (volumes: OpenVolumes): Promise<void> => {
    await removeFolder(stage);
    await claimOwner(objects, owner, { ...ofOwner, signal });
    ownedAtMs = now();
    const inStore = await stored.generations.list(signal);
    for (const [volumeId, numbers] of inStore) {
      const newest = await newestOf(volumeId, numbers);
      if (newest === undefined) continue;
      const { teamId, groupId, changes, atMs } = newest;
      const known = stateOf({ teamId, groupId, volumeId });
      Object.assign(known, { numbers, uploadedChanges: changes, generationAtMs: atMs });
    }
    for (const place of await volumes.list()) {
      const changes = findChanges(join(volumes.folderOf(place), place.volumeId, 'metadata.sqlite'));
      const known = stateOf(place);
      // Also of one whose generations are all damaged: a number is never used again.
      known.numbers = inStore.get(place.volumeId) ?? [];
      noteChanges(known, changes ?? -2, now());
    }
  };
  /** A damaged one is as good as none: the next upload is complete again. */
  const newestOf = async (volumeId: string, numbers: readonly number[]): Promise<Generation | undefined> => {
    for (const number of numbers.toReversed()) {
      try {
        const found = await stored.generations.get(volumeId, number, signal);
        if (found !== undefined) return found;
      } catch (thrown) {
        if (errorFromUnknown(thrown).reason !== 'storage_damaged') throw thrown;
        logger.warn({ err: thrown, volumeId, number }, 'a generation of a volume in the object store is damaged');
      }
    }
    return undefined;
  };
  const loadBody = async (one: VolumeState, until: AbortSignal): Promise<void> => {
    const number = one.numbers.at(-1);
    if (one.body !== undefined || number === undefined) return;
    try {
      const newest = await stored.generations.get(one.place.volumeId, number, until);
      if (newest !== undefined) one.body = await readBody(stored.packs, newest, until);
    } catch (thrown) {
      if (errorFromUnknown(thrown).reason !== 'storage_damaged') throw thrown;
    }
  };

  const uploadOne = async (volumes: OpenVolumes, one: VolumeState): Promise<void> => {
    const { place } = one;
    const data = volumes.folderOf(place);
    const startedAt = now();
    await volumes.use(place, async ({ volume, removed }) => {
      const until = AbortSignal.any([signal, removed]);
      one.pendingBytes = countUnstored(join(data, place.volumeId, 'metadata.sqlite')).bytes;
      await loadBody(one, until);
      const { generation, body, sent } = await uploadVolume({
        ...{ volume, blocks: stored.group(place.groupId, join(data, 'blocks')), data, stage, place },
        ...{ packs: stored.packs, generations: stored.generations, digestKey: stored.digestKey },
        ...{ numbers: one.numbers, last: one.body, avoid: rewrites.avoidedBy(place.groupId) },
        ...{ checkOwner: checkPlace, signal: until },
      });
      counts.uploads += 1;
      counts.uploadedBytes += sent.bytes;
      const old = one.numbers.slice(0, Math.max(0, one.numbers.length + 1 - generationsKept));
      one.numbers = [...one.numbers, generation.number];
      Object.assign(one, { body, uploadedChanges: generation.changes, generationAtMs: generation.atMs });
      Object.assign(one, { failure: '', failures: 0, pendingBytes: 0, dirtySinceMs: undefined });
      noteChanges(one, volume.metadata.facts().changes, now());
      one.notBeforeMs = now() + Math.max(limits.everyMs, (now() - startedAt) * limits.pauseFactor);
      logger.debug({ ...place, number: generation.number, ...sent }, 'volume uploaded to the object store');
      if (generation.missingBlocks > 0)
        logger.error(
          { ...place, blocks: generation.missingBlocks },
          'blocks of a volume cannot be read on the disk, and are not in the object store',
        );
      for (const number of old) {
        await stored.generations.delete(place.volumeId, number, until);
        one.numbers = one.numbers.filter((kept) => kept !== number);
      }
    });
  };
  const beginUpload = (volumes: OpenVolumes, one: VolumeState): void => {
    const work = async (): Promise<void> => {
      try {
        await uploadOne(volumes, one);
        if (state === 'away') [state, reason] = ['working', ''];
      } catch (thrown) {
        const error = errorFromUnknown(thrown);
        if (signal.aborted) return;
        if (error.reason === 'volume_not_found') {
          states.delete(one.place.volumeId);
          return;
        }
        counts.failures += 1;
        if (error.reason === 'storage_taken') [state, reason] = ['refused', error.message];
        else if (error.reason.startsWith('storage_')) [state, reason] = ['away', error.message];
        if (one.failure !== error.message)
          logger.warn({ ...one.place, err: thrown }, 'a volume could not be uploaded; it is tried again');
        noteFailure(one, error.message, limits, now());
      } finally {
        active.delete(one.place.groupId);
      }
    };
    active.set(one.place.groupId, { place: one.place, done: work() });
  };

  const isActive = (groupId: string): boolean => active.has(groupId);
  const rewrites = createRewrites({ stored, checkPlace, isActive, limits, logger });
  const upkeep = createUpkeep({ ...options, limits, states, tombstones, checkPlace, isActive, rewrites });

  /** Changes of before are counted. */
  const noteOpen = (): void => {
    for (const { place, volume } of opened?.listOpen() ?? [])
      if (opened?.exists(place) === true) noteChanges(stateOf(place), volume.metadata.facts().changes, now());
  };

  /** One look at what there is to do. */
  const look = async (volumes: OpenVolumes): Promise<void> => {
    noteOpen();
    const due = [...states.values()]
      .filter((one) => isDue(one, limits, now()) && volumes.exists(one.place))
      .sort((one, other) => (one.dirtySinceMs ?? 0) - (other.dirtySinceMs ?? 0));
    for (const one of due) if (active.size < limits.atOnce && !active.has(one.place.groupId)) beginUpload(volumes, one);
    for (const one of states.values())
      if (one.body !== undefined && now() > one.notBeforeMs + bodyKeptMs) one.body = undefined;
    await upkeep.run(volumes, signal);
    const behind = [...states.values()].filter(({ dirtySinceMs }) => dirtySinceMs !== undefined);
    if (state === 'refused' || (state === 'away' && behind.length > 0)) return;
    reason = '';
    if (behind.some(({ failures }) => failures === 0)) state = 'working';
    else state = behind.length > 0 ? 'waiting' : 'idle';
  };

  const run = async (volumes: OpenVolumes): Promise<void> => {
    let awayMs = limits.awayMs;
    let hasBegun = false;
    while (!isStopping()) {
      let waitMs = limits.lookMs;
      try {
        if (!hasBegun) await begin(volumes);
        hasBegun = true;
        await look(volumes);
        awayMs = limits.awayMs;
      } catch (thrown) {
        const error = errorFromUnknown(thrown);
        if (reason !== error.message && !isStopping())
          logger.error({ err: thrown }, 'the object store cannot be used; no volume is uploaded');
        [state, reason] = [error.reason === 'storage_taken' ? 'refused' : 'away', error.message];
        waitMs = awayMs;
        awayMs = Math.min(limits.awayMaxMs, awayMs * 2);
      }
      if (isRefused()) return;
      await sleepUnlessAborted(waitMs, signal).catch(() => undefined);
    }
  };
  const isStopping = (): boolean => signal.aborted;
  const isRefused = (): boolean => state === 'refused';

  return {
    forVolumes: {
      async openBlocks(groupId, folder) {
        if (!cleaned.has(groupId)) await cleanGroup(folder);
        cleaned.add(groupId);
        return (path) => stored.group(groupId, path).handle();
      },
      noteRemoval: async (place) => await tombstones.add(place),
      noteCopy: (place) => {
        noteChanges(stateOf(place), -2, now());
      },
      noteGroupRemoved: (groupId) => {
        stored.drop(groupId);
      },
    },
    start(volumes) {
      opened = volumes;
      running = run(volumes).catch((err: unknown) => {
        if (!signal.aborted) logger.error({ err }, 'uploads of volumes have ended');
      });
    },
    figures() {
      noteOpen();
      return figuresOf(states.values(), { state, reason, ...counts }, now());
    },
    async [Symbol.asyncDispose]() {
      stopping.abort(new SoulBoxError('shutting_down', 'The volume service stops.'));
      await running;
      await Promise.all([...active.values()].map(async ({ done }) => await done));
      await stored[Symbol.asyncDispose]();
    },
  };
}
