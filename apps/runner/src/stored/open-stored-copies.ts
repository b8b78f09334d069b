import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { createKeyedQueue } from './keyed-queue.ts';
import { SoulBoxError } from '@soulbox/base';
import type { Clock, Logger } from '@soulbox/base';
import type { CheckpointStore } from '@soulbox/checkpoints';
import type { TemplateStore } from '@soulbox/templates';
import { createParcels, sealedObjects } from '@soulbox/vault';
import type { ObjectAccess, OpenParcel } from '@soulbox/vault';
import { aboutParcelSchema } from '@soulbox/vault/stored';
import { unpackTree } from '@soulbox/vault/tar';
import { whileRoom } from '../disk-budget/host-work.ts';
import type { HostRoom } from '../disk-budget/host-work.ts';
import { usualArrivalLimits } from './arrival.ts';
import type { ArrivalLimits } from './arrival.ts';
import { createLocalUses } from './local-uses.ts';
import { createCheckpointFetches } from './checkpoint-fetches.ts';
import { placeFiles, placeTree, sweepDrafts } from './fetch-tree.ts';
import { isThere } from './paths.ts';
import { persist, usualPatience } from './patience.ts';
import type { Patience } from './patience.ts';
import type { StoredCopies } from './stored-copies.ts';

/** Where the store has what this server has uploaded. */
export interface StoredSource {
  readonly access: ObjectAccess;
  readonly serverId: string;
  /** Under which the runner encrypts. */
  readonly key: Uint8Array;
}

export interface StoredCopiesOptions {
  readonly source: StoredSource;
  readonly dataDirectory: string;
  readonly checkpoints: CheckpointStore;
  readonly templates: TemplateStore;
  /** The folder of the versions of envd. */
  readonly runtimes: string;
  readonly disks: HostRoom;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
  readonly patience?: Patience;
  readonly limits?: ArrivalLimits;
}

/** Archives that are unpacked at once. Each holds some chunks of 8 MiB. */
const treesAtOnce = 3;
/** Without a chunk for this time, an archive is given up. Milliseconds. */
const silenceMs = 60_000;

/** Goes on with what an earlier process has begun. */
export async function openStoredCopies(options: StoredCopiesOptions): Promise<StoredCopies> {
  const { source, dataDirectory, checkpoints, disks, logger, signal } = options;
  const { patience = usualPatience, limits = usualArrivalLimits } = options;
  const parcels = createParcels(sealedObjects(source.access, source.serverId), source.key);
  const figures = { fetches: 0, fetchedBytes: 0, fetchFailures: 0 };
  const queue = createKeyedQueue(treesAtOnce);
  const uses = createLocalUses(() => options.clock.now());

  const open = async (name: string): Promise<OpenParcel | undefined> =>
    await persist(async (own) => await parcels.open(name, own), patience, signal);

  const unpack = async (parcel: OpenParcel, draft: string, own: AbortSignal): Promise<void> => {
    const { compresses } = aboutParcelSchema.parse(parcel.about);
    await unpackTree(
      draft,
      chunksOf(parcel, patience, own, (bytes) => (figures.fetchedBytes += bytes)),
      {
        ...{ signal: own, compresses },
      },
    );
  };
  /** Runs once for all that ask for the same parcel. `isHere` is asked again when its turn comes. */
  const fetch = async (
    name: string,
    isHere: () => Promise<boolean>,
    place: (unpackInto: (draft: string) => Promise<void>) => Promise<void>,
    known?: OpenParcel,
  ): Promise<void> => {
    if (await isHere()) return;
    await queue.once(name, async () => {
      if (await isHere()) return;
      const startedAt = performance.now();
      try {
        const parcel = known ?? (await open(name));
        if (parcel === undefined) return;
        await whileRoom(disks, { what: 'Fetching from the object store', signal }, async (own) => {
          await place(async (draft) => await unpack(parcel, draft, own));
        });
        figures.fetches += 1;
        logger.info(
          { parcel: name, durationMs: Math.round(performance.now() - startedAt) },
          'fetched from the object store',
        );
      } catch (err) {
        figures.fetchFailures += 1;
        logger.warn({ parcel: name, err }, 'could not be fetched from the object store');
        throw err;
      }
    });
  };
  const here = (path: string) => async (): Promise<boolean> => await isThere(path);

  const fetches = createCheckpointFetches({
    ...{ dataDirectory, parcels, checkpoints, disks, patience, limits, logger, signal },
    onBytes: (bytes) => (figures.fetchedBytes += bytes),
    onEnd: (error) => {
      if (error === undefined) figures.fetches += 1;
      else figures.fetchFailures += 1;
    },
    fetchTree: async (id, parcel) => {
      const states = join(dataDirectory, 'states');
      const place = async (into: (draft: string) => Promise<void>): Promise<void> =>
        await placeTree(states, `states/${id}`, id, into);
      await fetch(`states/${id}`, here(join(states, id)), place, parcel);
    },
  });
  for (const folder of [options.runtimes, join(dataDirectory, 'layers'), join(dataDirectory, 'states')])
    await sweepDrafts(folder);
  await fetches.continueAll();

  return {
    uses,
    async checkpoint(id) {
      await uses.use(`states/${id}`);
      await fetches.whole(id);
    },
    async late(id, firstBlocks = []) {
      await uses.use(`states/${id}`);
      return await fetches.late(id, firstBlocks);
    },
    isArriving: (id) => fetches.isArriving(id),
    forget: (id) => fetches.forget(id),
    async layer(id) {
      await uses.use(`layers/${id}`);
      const image = checkpoints.layerPath(id);
      const isHere = async (): Promise<boolean> => (await isThere(image)) && (await checkpoints.isSealedLayer(id));
      await fetch(`layers/${id}`, isHere, async (into) => {
        await placeFiles(dirname(image), 'layers', (name) => name.endsWith('.json'), into);
      });
    },
    async disk({ sandboxId, stateId, directory, path }) {
      let isFetched = false;
      await fetch(`disks/${sandboxId}.${stateId}`, here(path), async (into) => {
        await sweepDrafts(directory);
        await placeFiles(directory, `sandboxes/${basename(directory)}`, (name) => name.endsWith('.img'), into);
        isFetched = true;
      });
      return isFetched;
    },
    async template(id) {
      const isHere = async (): Promise<boolean> => (await options.templates.find(id)) !== undefined;
      await fetch(`templates/${id}`, isHere, async (into) => {
        // A process that was killed may have left a draft.
        await options.templates.sweep();
        await options.templates.adopt(id, into);
      });
    },
    async runtime(name) {
      const isHere = async (): Promise<boolean> => await Promise.resolve(existsSync(join(options.runtimes, name)));
      await fetch(`runtimes/${name}`, isHere, async (into) => await placeTree(options.runtimes, name, name, into));
    },
    figures: () => ({ ...figures }),
  };
}

/** The chunks in their order, some of them in advance, each asked for again while the store is away. */
async function* chunksOf(
  parcel: OpenParcel,
  patience: Patience,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Buffer> {
  const count = Math.ceil(parcel.sizeBytes / parcel.chunkBytes);
  const ended = new AbortController();
  const either = AbortSignal.any([signal, ended.signal]);
  const read = async (at: number): Promise<Buffer> =>
    await persist(async (own) => await parcel.chunk(at, own), { ...patience, callMs: silenceMs }, either);
  const reading: Promise<Buffer>[] = [];
  try {
    for (let at = 0; at < count; at++) {
      while (reading.length < 2 && at + reading.length < count) {
        const chunk = read(at + reading.length);
        // Its error is thrown when its turn comes.
        chunk.catch(() => undefined);
        reading.push(chunk);
      }
      const chunk = await reading.shift();
      if (chunk === undefined) throw new SoulBoxError('internal', 'No chunk is being read.');
      onBytes(chunk.length);
      yield chunk;
    }
  } finally {
    ended.abort(new Error('The parcel is not read further.'));
  }
}
