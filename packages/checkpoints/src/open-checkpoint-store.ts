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
import { linkLayer, linkState } from './link-into.ts';
import type { StorePaths } from './names.ts';
import { draftSuffix, isId, removedSuffix, storePaths } from './names.ts';
import { openState } from './open-checkpoint.ts';
import type { Collection, Needed, State, CheckpointDraft, CheckpointStore } from './checkpoint-store.ts';
import { digestAtLeisure } from './background-digests.ts';
import type { DiskDigests, StampedDisk } from './manifest.ts';

const defaultMaxReadBytes = 256 * 1024 * 1024;

export interface CheckpointStoreOptions {
  /** Gets the folders `states` and `layers`; on the same file system as sandboxes' folders. Made when missing, 0700. */
  readonly directory: string;
  readonly logger: Logger;
  /** Where `compress` puts parts, under `states/`. Without it states stay as they are. */
  readonly blobs?: BlobStore;
}

/** Opens a store and removes what a crash left of drafts. Throws `name_taken` while another store has the folder. */
export async function openCheckpointStore({
  directory,
  logger,
  blobs,
}: CheckpointStoreOptions): Promise<CheckpointStore> {
  const paths = storePaths(directory);
  for (const folder of [paths.states, paths.layers]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(paths.states);
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

/** The kernel drops the lock with the process, however that ends. */
async function lockFolder(folder: string): Promise<FileHandle> {
  const handle = await open(folder, 'r');
  if (tryLock(handle.fd)) return handle;
  await handle.close();
  throw new SoulBoxError('name_taken', `Another server has ${dirname(folder)} open. Stop it first.`);
}

async function sweep(paths: StorePaths, logger: Logger): Promise<void> {
  const isLeftover = (name: string): boolean => [draftSuffix, removedSuffix, '.tmp'].some((end) => name.endsWith(end));
  for (const folder of [paths.states, paths.layers]) {
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
  /** The layers that each may name. */
  readonly #drafts = new Map<string, readonly string[]>();
  readonly #packing = new Map<string, { readonly abort: AbortController; readonly ended: Promise<unknown> }>();
  readonly #unpacking = new Map<string, Promise<State>>();

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
    await this.#archive?.sweep(new Map((await this.list()).map((id) => [id, this.#paths.state(id)])));
  }

  async begin(stateId: string, layers: readonly string[] = []): Promise<CheckpointDraft> {
    const target = this.#paths.state(stateId);
    if (this.#drafts.has(stateId) || (await exists(target)))
      throw new SoulBoxError('name_taken', `Checkpoint "${stateId}" already exists or is being written.`);
    const directory = target + draftSuffix;
    this.#drafts.set(stateId, layers);
    this.#digester.start();
    try {
      await mkdir(directory, { mode: 0o700 });
    } catch (error) {
      this.#drafts.delete(stateId);
      throw errorFromNode(error, `No folder could be made for state ${stateId} on the disk of the host.`);
    }
    const onEnd = (): boolean => this.#drafts.delete(stateId);
    return new Draft({ stateId, layers, directory, target }, this.#digester, onEnd);
  }

  async open(stateId: string): Promise<State> {
    const state = await this.find(stateId);
    if (state === undefined) throw new SoulBoxError('snapshot_not_found', `Checkpoint "${stateId}" was not found.`);
    return state;
  }

  async find(stateId: string): Promise<State | undefined> {
    const directory = this.#paths.state(stateId);
    return (await exists(directory)) ? await openState(stateId, directory, this.#digester) : undefined;
  }

  async list(): Promise<readonly string[]> {
    return (await readdir(this.#paths.states)).filter(isId).sort();
  }

  async compress(stateId: string, signal?: AbortSignal): Promise<State | undefined> {
    const archive = this.#requireArchive();
    if (this.#packing.has(stateId)) return undefined;
    const abort = new AbortController();
    const end = AbortSignal.any([abort.signal, ...(signal === undefined ? [] : [signal])]);
    const ended = this.open(stateId).then((state) => archive.compress(state, end));
    this.#packing.set(stateId, { abort, ended });
    try {
      return await ended;
    } catch (error) {
      if (end.aborted) return undefined;
      throw error;
    } finally {
      this.#packing.delete(stateId);
    }
  }

  async unpack(stateId: string, admit?: (bytes: number) => Disposable): Promise<State> {
    const unpacked = this.#unpacking.get(stateId) ?? this.#unpack(stateId, admit);
    this.#unpacking.set(stateId, unpacked);
    try {
      return await unpacked;
    } finally {
      this.#unpacking.delete(stateId);
    }
  }

  async #unpack(stateId: string, admit?: (bytes: number) => Disposable): Promise<State> {
    await this.#interruptPacking(stateId);
    const state = await this.open(stateId);
    if (!state.isPacked) return state;
    const { parts, packed } = state.manifest;
    using _room = admit?.(Object.keys(packed).reduce((sum, name) => sum + (parts[name]?.sizeBytes ?? 0), 0));
    return await this.#requireArchive().unpack(state);
  }

  /** Whoever waits for a state waits no longer than it takes to stop. */
  async #interruptPacking(stateId: string): Promise<void> {
    const packing = this.#packing.get(stateId);
    packing?.abort.abort();
    await Promise.allSettled([packing?.ended]);
  }

  async linkInto(directory: string, states: readonly string[], layers: readonly string[]): Promise<void> {
    const target = storePaths(directory);
    for (const stateId of states) {
      await this.#interruptPacking(stateId);
      await linkState(stateId, this.#paths, directory, this.#archive);
    }
    for (const layerId of layers) await linkLayer(layerId, this.#paths, target);
  }

  async remove(stateId: string): Promise<void> {
    await this.#interruptPacking(stateId);
    const directory = this.#paths.state(stateId);
    const removed = directory + removedSuffix;
    try {
      await rename(directory, removed);
    } catch (error) {
      if (isNodeError(error) && error.code === 'ENOENT') return;
      throw error;
    }
    await removeTree(removed);
    await this.#archive?.remove(stateId);
  }

  async setAside(stateId: string, note: DamageNote): Promise<void> {
    await this.#damaged.take(stateId, this.#paths.state(stateId), note);
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

  async digestAtLeisure(path: string, disk: StampedDisk, isWanted: () => boolean): Promise<void> {
    // A thread takes 10 MB, and large disks go to sleep rarely.
    await using digester = new Digester('at-leisure');
    await digestAtLeisure(path, disk, isWanted, digester);
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
      statePath: (stateId: string) => this.#paths.state(stateId),
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
