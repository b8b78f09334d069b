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
  const credentials =
    file === undefined ? undefined : (): ReturnType<typeof readS3Credentials> => readS3Credentials(file);
  // Faults of the file show now.
  await credentials?.();
  return await (await import('./s3/open-s3.ts')).openS3({ ...url, credentials });
}
