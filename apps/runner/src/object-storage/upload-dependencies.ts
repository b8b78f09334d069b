import { rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isDiskFull, isNodeError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { openBlobReader, openBlobWriter } from '@soulbox/storage';
import { checkOwner, createBlobPacks, createParcels, sealedObjects, unpackBlobs, uploadOnChange } from '@soulbox/vault';
import type { ChangeLimits, ObjectAccess, Parcels } from '@soulbox/vault';
import { dependenciesKind, dependenciesMark } from '@soulbox/vault/stored';
import { whileRoom } from '../disk-budget/host-work.ts';
import type { HostRoom } from '../disk-budget/host-work.ts';
import { isThere, syncFolder } from '../stored/paths.ts';
import type { StoreSettings } from './store-state.ts';

export interface DependencyUploadOptions extends Pick<StoreSettings, 'serverId' | 'owner' | 'keys'> {
  readonly access: ObjectAccess;
  readonly dataDirectory: string;
  readonly disks: HostRoom;
  readonly logger: Pick<Logger, 'warn'>;
  readonly limits?: ChangeLimits;
}

/**
 * Uploads cached dependencies, which are encrypted on the disk. After a recovery that has left them in the store, it fetches
 * them first: an upload deletes what the disk does not have. Disposing ends an upload in progress.
 */
export function uploadDependencies(options: DependencyUploadOptions): AsyncDisposable {
  const { access, serverId, owner, keys, dataDirectory, logger, limits } = options;
  const directory = join(dataDirectory, 'dependencies');
  const objects = sealedObjects(access, serverId);
  const parcels = createParcels(objects, keys.runner);
  const packs = createBlobPacks(parcels, dependenciesKind, {
    sources: [{ store: 'dependencies', blobs: openBlobReader({ directory }) }],
  });
  return uploadOnChange({
    ...{ what: 'cached dependencies', logger, limits },
    async mark() {
      const found = await stat(directory, { bigint: true }).catch((error: unknown) => {
        if (!isNodeError(error) || error.code !== 'ENOENT') throw error;
      });
      return `${found === undefined ? 'none' : found.mtimeNs} ${packs.isDue()}`;
    },
    async upload(signal) {
      await checkOwner(objects, owner.nonce, { key: keys.owner, signal });
      await fetchMarked(parcels, options, signal);
      await packs.sync(signal);
    },
  });
}

/** What the disk has no room for is left out: it is a cache, and the marker must not stay for ever. */
async function fetchMarked(
  parcels: Parcels,
  { dataDirectory, disks, logger }: DependencyUploadOptions,
  signal: AbortSignal,
): Promise<void> {
  const mark = join(dataDirectory, dependenciesMark);
  if (!(await isThere(mark))) return;
  // The cache has the folder open.
  const blobs = openBlobWriter({ directory: join(dataDirectory, 'dependencies') });
  try {
    await whileRoom(disks, { what: 'Fetching cached dependencies', signal }, async (still) => {
      await unpackBlobs(parcels, dependenciesKind, blobs, still);
    });
  } catch (error) {
    if (!isDiskFull(error)) throw error;
    logger.warn({ err: error }, 'cached dependencies in the object store are left out: the disk has no room for them');
  }
  await rm(mark, { force: true });
  await syncFolder(dataDirectory);
}
