import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isNodeError } from '@soulbox/base';
import type { Logger } from '@soulbox/base';
import { openBlobReader } from '@soulbox/storage';
import { checkOwner, createBlobPacks, createParcels, sealedObjects, uploadOnChange } from '@soulbox/vault';
import type { ChangeLimits, ObjectAccess } from '@soulbox/vault';
import { dependenciesKind } from '@soulbox/vault/stored';
import type { StoreSettings } from './store-state.ts';

export interface DependencyUploadOptions extends Pick<StoreSettings, 'serverId' | 'owner' | 'keys'> {
  readonly access: ObjectAccess;
  readonly dataDirectory: string;
  readonly logger: Pick<Logger, 'warn'>;
  readonly limits?: ChangeLimits;
}

/** Uploads cached dependencies, which are encrypted on the disk. Disposing ends an upload in progress. */
export function uploadDependencies(options: DependencyUploadOptions): AsyncDisposable {
  const { access, serverId, owner, keys, dataDirectory, logger, limits } = options;
  const directory = join(dataDirectory, 'dependencies');
  const objects = sealedObjects(access, serverId);
  const packs = createBlobPacks(createParcels(objects, keys.runner), dependenciesKind, {
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
      await packs.sync(signal);
    },
  });
}
