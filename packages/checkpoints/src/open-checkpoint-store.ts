import { mkdir, open, readdir } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Logger } from '@soulbox/base';
import { SoulBoxError, removeTree } from '@soulbox/base';
import { tryLock } from '@soulbox/linux/flock';
import type { BlobStore } from '@soulbox/storage';
import { createArchive } from './archive/archive.ts';
import type { Archive } from './archive/archive.ts';
import { createPacking } from './archive/packing.ts';
import { createClearFolders } from './clear-folders.ts';
import { collect } from './collect.ts';
import type { DamagedCheckpoints } from './damaged-checkpoints.ts';
import { openDamagedCheckpoints } from './damaged-checkpoints.ts';
import { createDigester } from './digests/digester.ts';
import { digestDisk, verifyDisk } from './disk-digests.ts';
import { createDrafts } from './drafts.ts';
import { createLayers } from './layers.ts';
import { createKeptCopies } from './kept-copies.ts';
import { linkLayer, linkCheckpoint } from './link-into.ts';
import type { StorePaths } from './names.ts';
import { draftSuffix, removedSuffix, storePaths } from './names.ts';
import { createSealedCheckpoints } from './sealed-checkpoints.ts';
import type { SealedCheckpoints } from './sealed-checkpoints.ts';
import type { CheckpointKeys } from './sealing/checkpoint-keys.ts';
import type { StoreTools } from './store-tools.ts';
import type { CheckpointStore } from './checkpoint-store.ts';
import { digestInBackground } from './background-digests.ts';

const defaultMaxReadBytes = 256 * 1024 * 1024;

export interface CheckpointStoreOptions {
  /** For the folders `states` and `layers`, made with mode 0700. On the same file system as sandboxes' folders. */
  readonly directory: string;
  readonly logger: Logger;
  /**
   * A folder in memory (tmpfs), where checkpoints are unencrypted while they are saved and restored. Only root may enter
   * it.
   */
  readonly clearDirectory: string;
  readonly keys: CheckpointKeys;
  /** `compress` stores parts here under `states/`. Without it checkpoints cannot be compressed. */
  readonly blobs?: BlobStore;
}

/** Opens a store and removes drafts that a crash left. Throws `name_taken` while another store has the folder. */
export async function openCheckpointStore({
  directory,
  clearDirectory,
  keys,
  logger,
  blobs,
}: CheckpointStoreOptions): Promise<CheckpointStore> {
  const paths = storePaths(directory);
  for (const folder of [paths.checkpoints, paths.layers]) await mkdir(folder, { recursive: true, mode: 0o700 });
  const lock = await lockFolder(paths.checkpoints);
  try {
    await sweep(paths, logger);
    const clear = createClearFolders(clearDirectory, logger);
    await clear.sweepDrafts();
    const tools = { digester: createDigester(), keys, clear, kept: createKeptCopies(clear) };
    const sealed = createSealedCheckpoints(paths, tools);
    const archive = blobs === undefined ? undefined : createArchive(blobs, tools);
    const damaged = openDamagedCheckpoints(directory);
    await archive?.sweep(new Map((await sealed.list()).map((id) => [id, paths.checkpoint(id)])));
    return createDiskCheckpointStore({ paths, logger, lock, tools, sealed, archive, damaged });
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

interface StoreParts {
  readonly paths: StorePaths;
  readonly logger: Logger;
  readonly lock: FileHandle;
  readonly tools: StoreTools;
  readonly sealed: SealedCheckpoints;
  readonly archive: Archive | undefined;
  readonly damaged: DamagedCheckpoints;
}

function createDiskCheckpointStore(parts: StoreParts): CheckpointStore {
  const { paths, logger, lock, tools, sealed, archive, damaged } = parts;
  const { digester, keys, clear, kept } = tools;
  const layers = createLayers(paths, digester);
  const drafts = createDrafts(paths, tools, sealed);
  const packing = createPacking((checkpointId) => sealed.open(checkpointId), archive);

  const list = (): Promise<readonly string[]> => sealed.list();
  const remove = async (checkpointId: string): Promise<void> => {
    await packing.interrupt(checkpointId);
    kept.forget(checkpointId);
    if (await sealed.remove(checkpointId)) await archive?.remove(checkpointId);
  };

  return {
    begin: (checkpointId, layerIds) => drafts.begin(checkpointId, layerIds),
    expectReads: () => digester.start(),
    open: (checkpointId) => sealed.open(checkpointId),
    find: (checkpointId) => sealed.find(checkpointId),
    list,
    compress: (checkpointId, signal) => packing.compress(checkpointId, signal),
    unpack: (checkpointId, admit) => packing.unpack(checkpointId, admit),
    async linkInto(directory, checkpoints, layerIds) {
      const target = storePaths(directory);
      for (const checkpointId of checkpoints) {
        await packing.interrupt(checkpointId);
        await linkCheckpoint(checkpointId, paths, directory, archive, keys);
      }
      for (const layerId of layerIds) await linkLayer(layerId, paths, target);
    },
    remove,
    async setAside(checkpointId, note) {
      kept.forget(checkpointId);
      await damaged.take(checkpointId, paths.checkpoint(checkpointId), note);
    },
    dropDamaged: (beforeMs) => damaged.removeOlder(beforeMs),
    layerPath: (layerId) => paths.layer(layerId),
    sealLayer: (layerId, known) => layers.seal(layerId, known),
    isSealedLayer: (layerId) => layers.isSealed(layerId),
    async digestsOfLayer(layerId) {
      const { sizeBytes, digests } = await layers.digestsOf(layerId);
      return { sizeBytes, digests };
    },
    removeLayer: (layerId) => layers.remove(layerId),
    verifyLayer: (layerId) => layers.verify(layerId),
    flatten: (layerIds, layerId) => layers.flatten(layerIds, layerId),
    digestDisk: (path, maxReadBytes = defaultMaxReadBytes) => digestDisk(path, maxReadBytes, digester),
    async digestInBackground(path, disk, isWanted) {
      // The thread is not kept: it uses 10 MB, and sandboxes with large disks are paused rarely.
      await using background = createDigester('background');
      await digestInBackground(path, disk, isWanted, background);
    },
    verifyDisk: (path, expected) => verifyDisk(path, expected, digester),
    sweepClear: async () => await clear.sweep(),
    dropClear: () => kept.dropIdle(),
    async collect(findNeeded) {
      const shelves = {
        store: { list, remove },
        layers,
        logger,
        keys,
        layersOfDrafts: () => drafts.layers(),
        checkpointPath: (checkpointId: string) => paths.checkpoint(checkpointId),
      };
      return await collect(shelves, findNeeded);
    },
    async [Symbol.asyncDispose]() {
      await kept[Symbol.asyncDispose]();
      await clear[Symbol.asyncDispose]();
      await digester[Symbol.asyncDispose]();
      await lock.close();
    },
  };
}
