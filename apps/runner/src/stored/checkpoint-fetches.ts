import { existsSync } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errorFromUnknown, removeTree, SoulBoxError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import type { CheckpointStore } from '@soulbox/checkpoints';
import { createArrivalFile, openArrivalFile, sizeOfArrival } from '@soulbox/isolation';
import type { ArrivalFile, ArrivingBlocks } from '@soulbox/isolation';
import { flatChunkBytes } from '@soulbox/vault/flat';
import type { FlatFile } from '@soulbox/vault/flat';
import type { OpenParcel, Parcels } from '@soulbox/vault';
import { aboutParcelSchema } from '@soulbox/vault/stored';
import { setTimeout as sleep } from 'node:timers/promises';
import type { HostRoom } from '../disk-budget/host-work.ts';
import { startArrival } from './arrival.ts';
import type { Arrival, ArrivalLimits } from './arrival.ts';
import { placeOfPart, readBeginning, writeBeginning } from './flat-draft.ts';
import { isThere, syncFolder } from './paths.ts';
import { isAway, persist } from './patience.ts';
import type { Patience } from './patience.ts';
import { blocksOfChunks, chunksOfBlocks } from './block-names.ts';
import type { ArrivingCheckpoint } from './stored-copies.ts';

export interface CheckpointFetchOptions {
  readonly dataDirectory: string;
  readonly parcels: Parcels;
  /** Of this host alone: it knows nothing of the store. */
  readonly checkpoints: Pick<CheckpointStore, 'open'>;
  readonly disks: HostRoom;
  readonly patience: Patience;
  readonly limits: ArrivalLimits;
  readonly logger: Logger;
  readonly onBytes: (bytes: number) => void;
  /** A checkpoint is there as a whole, or could not be fetched. */
  readonly onEnd: (error: unknown) => void;
  readonly signal: AbortSignal;
  /** Fetches a parcel that is an archive of tar, as earlier versions have written it. */
  readonly fetchTree: (checkpointId: string, parcel: OpenParcel) => Promise<void>;
}

interface Fetch {
  readonly arrival: Arrival;
  readonly blocks: ArrivingBlocks;
  readonly abort: AbortController;
  /** Whether a sandbox runs on it, so that it must go on as long as the store is away. */
  isNeeded: boolean;
  /** What has arrived is removed when it ends. */
  discards: boolean;
}

/** Beside the folder of a checkpoint while parts of it are missing. */
const arrivalSuffix = '.arriving';
/** After this time without a chunk, nobody waits for a whole checkpoint any longer. Milliseconds. */
const silenceMs = 20_000;
const lookMs = 20;
const retryMs = 1000;

export interface CheckpointFetches {
  /** Undefined: it is here as a whole, or nowhere. */
  begin(checkpointId: string): Promise<Fetch | undefined>;
  late(checkpointId: string, firstBlocks: readonly string[]): Promise<ArrivingCheckpoint | undefined>;
  whole(checkpointId: string): Promise<void>;
  isArriving(checkpointId: string): boolean;
  forget(checkpointId: string): void;
  /** Goes on with what a dead process has begun, and removes what a crash of the host has left. */
  continueAll(): Promise<void>;
}

export function createCheckpointFetches(options: CheckpointFetchOptions): CheckpointFetches {
  const { dataDirectory, parcels, disks, logger, patience, signal } = options;
  const states = join(dataDirectory, 'states');
  const directoryOf = (id: string): string => join(states, id);
  const arrivalPathOf = (id: string): string => directoryOf(id) + arrivalSuffix;
  const fetches = new Map<string, Fetch>();
  const beginnings = new Map<string, Promise<Fetch | undefined>>();

  const discard = async (id: string): Promise<void> => {
    // A process for nothing would delay each resume.
    if (await isThere(directoryOf(id))) await removeTree(directoryOf(id));
    await rm(arrivalPathOf(id), { force: true });
  };

  /** Fetches in the background until all is there. */
  const follow = (
    id: string,
    file: ArrivalFile,
    { parcel, large, room }: { parcel: OpenParcel; large: readonly FlatFile[]; room: Disposable },
  ): Fetch => {
    const abort = new AbortController();
    const chunkCount = Math.ceil(parcel.sizeBytes / parcel.chunkBytes);
    const arrival = startArrival({
      ...{ file, filePath: arrivalPathOf(id), chunkBytes: parcel.chunkBytes, chunkCount, large, logger },
      pathOf: (path) => placeOfPart(dataDirectory, id, directoryOf(id), path),
      readChunk: async (at, own, into) => await parcel.chunk(at, own, into),
      onBytes: options.onBytes,
      limits: options.limits,
      signal: AbortSignal.any([signal, abort.signal]),
    });
    const prefix = `states/${id}/`;
    const first = Object.fromEntries(
      large
        .filter(({ path }) => path.startsWith(prefix))
        .map(({ path, at }) => [path.slice(prefix.length), at / parcel.chunkBytes]),
    );
    const blocks = { path: arrivalPathOf(id), count: chunkCount, first };
    const fetch: Fetch = { arrival, blocks, abort, isNeeded: false, discards: false };
    fetches.set(id, fetch);
    void arrival.whole
      .then(async () => {
        await syncFolder(directoryOf(id));
        await rm(arrivalPathOf(id));
        await syncFolder(states);
        options.onEnd(undefined);
      })
      .catch(async (error: unknown) => {
        if (!signal.aborted) options.onEnd(error);
        if (fetch.discards) await discard(id);
      })
      .catch((err: unknown) => logger.error({ checkpointId: id, err }, 'a fetched checkpoint could not be completed'))
      .finally(() => {
        room[Symbol.dispose]();
        fetches.delete(id);
      });
    return fetch;
  };

  const open = async (id: string): Promise<OpenParcel | undefined> =>
    await persist(async (own) => await parcels.open(`states/${id}`, own), patience, signal);

  const beginAlone = async (id: string): Promise<Fetch | undefined> => {
    const isHere = await isThere(directoryOf(id));
    if (isHere && !(await isThere(arrivalPathOf(id)))) return undefined;
    const parcel = await open(id);
    if (parcel === undefined && isHere)
      throw new SoulBoxError('storage_damaged', `Checkpoint "${id}" is not in the object store any more.`);
    if (parcel === undefined) return undefined;
    const about = aboutParcelSchema.parse(parcel.about);
    if (about.headBytes === undefined || parcel.chunkBytes !== flatChunkBytes) {
      await options.fetchTree(id, parcel);
      return undefined;
    }
    const readChunk = async (at: number): Promise<Buffer> =>
      await persist(async (own) => await parcel.chunk(at, own), patience, signal);
    const beginning = await readBeginning(parcel, about.headBytes, readChunk);
    const large = beginning.places.files.filter((file) => file.at >= beginning.places.smallEnd && file.sizeBytes > 0);
    const count = Math.ceil(parcel.sizeBytes / parcel.chunkBytes);
    using held = new DisposableStack();
    const room = held.use(disks.admit(parcel.sizeBytes, 'Fetching saved memory from the object store'));
    const continued = isHere ? openArrivalFile(arrivalPathOf(id), count) : undefined;
    if (continued !== undefined) {
      held.move();
      return follow(id, continued, { parcel, large, room });
    }
    await discard(id);
    const draft = `${directoryOf(id)}.draft`;
    try {
      if (await isThere(draft)) await removeTree(draft);
      await writeBeginning(beginning, (path) => placeOfPart(dataDirectory, id, draft, path));
      options.onBytes(beginning.bytes.length);
      const file = createArrivalFile(arrivalPathOf(id), count);
      await rename(draft, directoryOf(id));
      held.move();
      return follow(id, file, { parcel, large, room });
    } catch (error) {
      await removeTree(draft);
      await discard(id);
      throw error;
    }
  };

  const begin: CheckpointFetches['begin'] = async (id) => {
    const present = fetches.get(id);
    if (present !== undefined) return present;
    const beginning = beginnings.get(id) ?? beginAlone(id).finally(() => beginnings.delete(id));
    beginnings.set(id, beginning);
    return await beginning;
  };

  /** Waits until it is complete, or no longer comes nearer. */
  const complete = async (id: string, fetch: Fetch): Promise<void> => {
    using _hurry = fetch.arrival.hurry();
    const over = { value: false };
    const whole = fetch.arrival.whole.finally(() => (over.value = true));
    whole.catch(() => undefined);
    while (!over.value) {
      const failure = fetch.arrival.failure();
      const isStuck = failure !== undefined && !isAway(failure);
      if (isStuck || fetch.arrival.silentMs() > silenceMs) {
        if (!fetch.isNeeded) {
          // What has arrived saves time when it is tried again, unless the disk is full.
          fetch.discards = isStuck;
          fetch.abort.abort(failure ?? new Error('The object store is too slow.'));
        }
        throw failure ?? new SoulBoxError('storage_unavailable', 'The object store does not answer. Retry.');
      }
      await Promise.race([whole, sleep(lookMs)]).catch(() => undefined);
    }
    await whole;
    // Until its file is removed, it counts as incomplete.
    while (fetches.has(id)) await sleep(1);
  };

  return {
    begin,
    async late(id, firstBlocks) {
      const fetch = await begin(id);
      if (fetch === undefined) return undefined;
      using held = new DisposableStack();
      held.use(fetch.arrival.hold());
      fetch.arrival.expect(chunksOfBlocks(fetch.blocks, firstBlocks));
      const checkpoint = await options.checkpoints.open(id);
      const keep = (): void => void (fetch.isNeeded = true);
      const kept = held.move();
      const end = (): void => kept.dispose();
      const asked = (): readonly string[] => blocksOfChunks(fetch.blocks, fetch.arrival.asked());
      return { checkpoint, blocks: fetch.blocks, asked, keep, whole: fetch.arrival.whole, [Symbol.dispose]: end };
    },
    async whole(id) {
      const fetch = await begin(id);
      if (fetch !== undefined) await complete(id, fetch);
    },
    isArriving: (id) => existsSync(arrivalPathOf(id)),
    forget(id) {
      const fetch = fetches.get(id);
      if (fetch === undefined) return;
      fetch.discards = true;
      fetch.abort.abort(new Error('The checkpoint is not needed any more.'));
    },
    async continueAll() {
      for (const name of (await readdir(states)).filter((one) => one.endsWith(arrivalSuffix))) {
        const id = name.slice(0, -arrivalSuffix.length);
        if (!(await isThere(directoryOf(id))) || sizeOfArrival(arrivalPathOf(id)) === undefined) {
          await discard(id);
          continue;
        }
        logger.info({ checkpointId: id }, 'a checkpoint was being fetched from the object store');
        const retry = async (): Promise<void> => {
          while (!signal.aborted && (await isThere(arrivalPathOf(id)))) {
            const fetch = await begin(id).catch((thrown: unknown) => errorFromUnknown(thrown));
            if (fetch instanceof SoulBoxError) await sleep(retryMs);
            else if (fetch !== undefined) {
              fetch.isNeeded = true;
              return;
            }
          }
        };
        retry().catch((err: unknown) => logger.error({ checkpointId: id, err }, 'it is not fetched further'));
      }
    },
  };
}
