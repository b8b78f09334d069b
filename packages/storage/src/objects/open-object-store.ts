import { SoulBoxError } from '@soulbox/base';
import { createObjectStore } from './create-object-store.ts';
import { readS3Credentials } from './credentials-file.ts';
import type { ObjectStore } from './object-store.ts';
import { parseStorageUrl } from './storage-url.ts';
import type { StorageUrl } from './storage-url.ts';
import type { StoreDriver } from './store-driver.ts';
import { errorFromFault } from './store-fault.ts';
import type { StoreLimits } from './store-options.ts';

export interface OpenStoreOptions {
  /** A JSON file with credentials. Undefined: those that the SDK of the store finds. */
  readonly credentialsFile?: string | undefined;
  readonly limits?: Partial<StoreLimits> | undefined;
}

/**
 * Opens the store that a URL names (docs/storage.md). Loads the SDK of that store and no other. Throws `config_invalid`;
 * whether the store can be reached shows at the first call.
 */
export async function openObjectStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const parsed = parseStorageUrl(url);
  const driver = await openDriver(parsed, options.credentialsFile).catch((thrown: unknown) => {
    throw errorFromFault(thrown);
  });
  return createObjectStore(driver, { url, prefix: parsed.prefix, limits: options.limits });
}

async function openDriver(url: StorageUrl, file: string | undefined): Promise<StoreDriver> {
  if (url.kind === 'file') {
    if (file !== undefined) throw new SoulBoxError('config_invalid', 'Local disk has no credentials.');
    return await (await import('./disk/open-disk-objects.ts')).openDiskObjects(url.path);
  }
  return await openers[url.kind](url as never, file);
}

type Opener<Url> = (url: Url, credentialsFile: string | undefined) => Promise<StoreDriver>;

/** Faults of a credentials file show when the store is opened. */
const openers: { readonly [Kind in Exclude<StorageUrl['kind'], 'file'>]: Opener<Extract<StorageUrl, { kind: Kind }>> } =
  {
    async s3(url, file) {
      const credentials = file === undefined ? undefined : () => readS3Credentials(file);
      await credentials?.();
      return await (await import('./s3/open-s3.ts')).openS3({ ...url, credentials });
    },
    async azure(url, file) {
      if (file === undefined)
        throw new SoulBoxError(
          'config_invalid',
          'Azure needs a file with credentials (SOULBOX_STORAGE_CREDENTIALS_FILE).',
        );
      const { readAzureCredentials } = await import('./azure/credentials.ts');
      const credentials = () => readAzureCredentials(file);
      await credentials();
      return await (await import('./azure/open-azure.ts')).openAzure({ ...url, credentials });
    },
    async gcs(url, file) {
      const { readServiceAccount } = await import('./gcs/credentials.ts');
      const credentials = file === undefined ? undefined : () => readServiceAccount(file);
      await credentials?.();
      return await (await import('./gcs/open-gcs.ts')).openGcs({ ...url, credentials });
    },
  };
