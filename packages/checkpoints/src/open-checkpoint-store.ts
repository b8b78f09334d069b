import { mkdir, open, readdir, rename, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { SoulBoxError, errorFromNode, isNodeError, removeTree } from '@soulbox/base';
import { tryLock } from '@soulbox/linux/flock';
import type { BlobStore } from '@soulbox/storage';
import { Archive } from './archive/archive.ts';
import { collect } from './collect.ts';
import type { DamagedCheckpoints, DamageNote } from './damaged-checkpoints.ts';
import { openDamagedCheckpoints } from './damaged-checkpoints.ts';
import { Digester } from './digests/digester.ts';
import { digestDisk, verifyDisk } from './disk-digests.ts';
import { Draft } from './draft.ts';
import { Layers } from './layers.ts';
import { linkLayer, linkCheckpoint } from './link-into.ts';
import type { StorePaths } from './names.ts';
import { draftSuffix, isId, removedSuffix, storePaths } from './names.ts';
import { openCheckpoint } from './open-checkpoint.ts';
import type { Collection, Needed, Checkpoint, CheckpointDraft, CheckpointStore } from './checkpoint-store.ts';
import { digestInBackground } from './background-digests.ts';
import type { DiskDigests, StampedDisk } from './manifest.ts';

const defaultMaxReadBytes = 256 * 1024 * 1024;

export interface CheckpointStoreOptions {
  /** For the folders `states` and `layers`, made with mode 0700. On the same file system as sandboxes' folders. */
  readonly directory: string;
  readonly logger: Logger;
  /** `compress` stores parts here under `states/`. Without it checkpoints cannot be compressed. */
  readonly blobs?: BlobStore;
}

/** Opens a store and removes drafts that a crash left. Throws `name_taken` while another store has the folder. */
export async function openCheckpointStore({
  directory,
  logger,
  blobs,
}: CheckpointStoreOptions): Promise<CheckpointStore> {
  const paths = storePaths(directory);
  for (const folder of [paths.checkpoints, paths.layers]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(paths.checkpoints);
  try {
    await sweep(paths, logger);
    const store = new DiskCheckpointStore(paths, logger, lock, blobs, openDamagedCheckpoints(directory));
    await store.sweepArchive();
    return store;
  } catch (error) {
    await lock.close();
    throw error;
  }
}

/** The kernel releases the lock when the process ends for any reason. */
async function lockFolder(folder: string): Promise<FileHandle> {
  const handle = await open(folder, 'r');
  if (tryLock(handle.fd)) return handle;
  await handle.close();
  throw new SoulBoxError('name_taken', `Another server has ${dirname(folder)} open. Stop it first.`);
}

async function sweep(paths: StorePaths, logger: Logger): Promise<void> {
  const isLeftover = (name: string): boolean => [draftSuffix, removedSuffix, '.tmp'].some((end) => name.endsWith(end));
  for (const folder of [paths.checkpoints, paths.layers]) {
    for (const name of (await readdir(folder)).filter(isLeftover)) {
      await removeTree(join(folder, name));
      logger.info({ name }, 'removed remains of an unfinished checkpoint or layer');
    }
  }
}

class DiskCheckpointStore implements CheckpointStore {
  readonly #paths: StorePaths;
  readonly #logger: Logger;
  readonly #lock: FileHandle;
  readonly #damaged: DamagedCheckpoints;
  readonly #digester = new Digester();
  readonly #layers: Layers;
  readonly #archive: Archive | undefined;
  /** Open drafts, and the layers that each may name. */
  readonly #drafts = new Map<string, readonly string[]>();
  readonly #packing = new Map<string, { readonly abort: AbortController; readonly ended: Promise<unknown> }>();
  readonly #unpacking = new Map<string, Promise<Checkpoint>>();

  constructor(
    paths: StorePaths,
    logger: Logger,
    lock: FileHandle,
    blobs: BlobStore | undefined,
    damaged: DamagedCheckpoints,
  ) {
    this.#damaged = damaged;
    this.#paths = paths;
    this.#logger = logger;
    this.#lock = lock;
    this.#layers = new Layers(paths, this.#digester);
    this.#archive = blobs === undefined ? undefined : new Archive(blobs, this.#digester);
  }

  async sweepArchive(): Promise<void> {
    await this.#archive?.sweep(new Map((await this.list()).map((id) => [id, this.#paths.checkpoint(id)])));
  }

  async begin(checkpointId: string, layers: readonly string[] = []): Promise<CheckpointDraft> {
    const target = this.#paths.checkpoint(checkpointId);
    if (this.#drafts.has(checkpointId) || (await exists(target)))
      throw new SoulBoxError('name_taken', `Checkpoint "${checkpointId}" already exists or is being written.`);
    const directory = target + draftSuffix;
    this.#drafts.set(checkpointId, layers);
    this.#digester.start();
    try {
      await mkdir(directory, { mode: 0o700 });
    } catch (error) {
      this.#drafts.delete(checkpointId);
      throw errorFromNode(error, `No folder could be made for checkpoint "${checkpointId}" on the disk of the host.`);
    }
    const onEnd = (): boolean => this.#drafts.delete(checkpointId);
    return new Draft({ checkpointId, layers, directory, target }, this.#digester, onEnd);
  }

  async open(checkpointId: string): Promise<Checkpoint> {
    const checkpoint = await this.find(checkpointId);
    if (checkpoint === undefined)
      throw new SoulBoxError('snapshot_not_found', `Checkpoint "${checkpointId}" was not found.`);
    return checkpoint;
  }

  async find(checkpointId: string): Promise<Checkpoint | undefined> {
    const directory = this.#paths.checkpoint(checkpointId);
    return (await exists(directory)) ? await openCheckpoint(checkpointId, directory, this.#digester) : undefined;
  }

  async list(): Promise<readonly string[]> {
    return (await readdir(this.#paths.checkpoints)).filter(isId).sort();
  }

  async compress(checkpointId: string, signal?: AbortSignal): Promise<Checkpoint | undefined> {
    const archive = this.#requireArchive();
    if (this.#packing.has(checkpointId)) return undefined;
    const abort = new AbortController();
    const end = AbortSignal.any([abort.signal, ...(signal === undefined ? [] : [signal])]);
    const ended = this.open(checkpointId).then((checkpoint) => archive.compress(checkpoint, end));
    this.#packing.set(checkpointId, { abort, ended });
    try {
      return await ended;
    } catch (error) {
      if (end.aborted) return undefined;
      throw error;
    } finally {
      this.#packing.delete(checkpointId);
    }
  }

  async unpack(checkpointId: string, admit?: (bytes: number) => Disposable): Promise<Checkpoint> {
    const unpacked = this.#unpacking.get(checkpointId) ?? this.#unpack(checkpointId, admit);
    this.#unpacking.set(checkpointId, unpacked);
    try {
      return await unpacked;
    } finally {
      this.#unpacking.delete(checkpointId);
    }
  }

  async #unpack(checkpointId: string, admit?: (bytes: number) => Disposable): Promise<Checkpoint> {
    await this.#interruptPacking(checkpointId);
    const checkpoint = await this.open(checkpointId);
    if (!checkpoint.isPacked) return checkpoint;
    const { parts, packed } = checkpoint.manifest;
    using _room = admit?.(Object.keys(packed).reduce((sum, name) => sum + (parts[name]?.sizeBytes ?? 0), 0));
    return await this.#requireArchive().unpack(checkpoint);
  }

  /** Stops a compression, so that the caller need not wait for its end. */
  async #interruptPacking(checkpointId: string): Promise<void> {
    const packing = this.#packing.get(checkpointId);
    packing?.abort.abort();
    await Promise.allSettled([packing?.ended]);
  }

  async linkInto(directory: string, checkpoints: readonly string[], layers: readonly string[]): Promise<void> {
    const target = storePaths(directory);
    for (const checkpointId of checkpoints) {
      await this.#interruptPacking(checkpointId);
      await linkCheckpoint(checkpointId, this.#paths, directory, this.#archive);
    }
    for (const layerId of layers) await linkLayer(layerId, this.#paths, target);
  }

  async remove(checkpointId: string): Promise<void> {
    await this.#interruptPacking(checkpointId);
    const directory = this.#paths.checkpoint(checkpointId);
    const removed = directory + removedSuffix;
    try {
      await rename(directory, removed);
    } catch (error) {
      if (isNodeError(error) && error.code === 'ENOENT') return;
      throw error;
    }
    await removeTree(removed);
    await this.#archive?.remove(checkpointId);
  }

  async setAside(checkpointId: string, note: DamageNote): Promise<void> {
    await this.#damaged.take(checkpointId, this.#paths.checkpoint(checkpointId), note);
  }

  async dropDamaged(beforeMs: number): Promise<readonly string[]> {
    return await this.#damaged.removeOlder(beforeMs);
  }

  layerPath(layerId: string): string {
    return this.#paths.layer(layerId);
  }

  async sealLayer(layerId: string): Promise<void> {
    await this.#layers.seal(layerId);
  }

  async isSealedLayer(layerId: string): Promise<boolean> {
    return await this.#layers.isSealed(layerId);
  }

  async verifyLayer(layerId: string): Promise<void> {
    await this.#layers.verify(layerId);
  }

  async flatten(layerIds: readonly string[], layerId: string): Promise<void> {
    await this.#layers.flatten(layerIds, layerId);
  }

  async digestDisk(path: string, maxReadBytes = defaultMaxReadBytes): Promise<DiskDigests> {
    return await digestDisk(path, maxReadBytes, this.#digester);
  }

  async digestInBackground(path: string, disk: StampedDisk, isWanted: () => boolean): Promise<void> {
    // The thread is not kept: it uses 10 MB, and sandboxes with large disks are paused rarely.
    await using digester = new Digester('background');
    await digestInBackground(path, disk, isWanted, digester);
  }

  async verifyDisk(path: string, expected: DiskDigests): Promise<void> {
    await verifyDisk(path, expected, this.#digester);
  }

  async collect(findNeeded: () => Needed | Promise<Needed>): Promise<Collection> {
    const shelves = {
      store: this,
      layers: this.#layers,
      logger: this.#logger,
      layersOfDrafts: () => [...this.#drafts.values()].flat(),
      checkpointPath: (checkpointId: string) => this.#paths.checkpoint(checkpointId),
    };
    return await collect(shelves, findNeeded);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#digester[Symbol.asyncDispose]();
    await this.#lock.close();
  }

  #requireArchive(): Archive {
    if (this.#archive !== undefined) return this.#archive;
    throw new SoulBoxError('capability_missing', 'This server does not archive checkpoints.');
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (isNodeError(error) && error.code === 'ENOENT') return false;
    throw error;
  }
}
