import { SoulBoxError } from '@soulbox/base';
import { createObjectStore } from './create-object-store.ts';
import { credentialsOfFile, readS3Credentials } from './credentials-file.ts';
import type { CredentialsSource } from './credentials-file.ts';
import type { ObjectStore } from './object-store.ts';
import { keepingLast } from './renewing.ts';
import { parseStorageUrl } from './storage-url.ts';
import type { StorageUrl } from './storage-url.ts';
import type { StoreDriver } from './store-driver.ts';
import { errorFromFault } from './store-fault.ts';
import type { StoreLimits } from './store-options.ts';

export interface OpenStoreOptions {
  /** A JSON file with credentials. Without it and `credentials`: those that the SDK of the store finds. */
  readonly credentialsFile?: string | undefined;
  /** The content of such a file, or `anonymous` for requests without any. Nothing of the host is used then. */
  readonly credentials?: Readonly<Record<string, unknown>> | 'anonymous' | undefined;
  readonly limits?: Partial<StoreLimits> | undefined;
}

/** A page of a folder with a million objects needs all their names: ten seconds, and more while the host is busy. */
const folderMs = 180_000;

/** `sdk`: what the SDK finds on this host. */
type Access = CredentialsSource | 'anonymous' | 'sdk';

/**
 * Opens the store that a URL names (docs/storage.md). Loads the SDK of that store and no other. Throws `config_invalid`;
 * whether the store can be reached shows at the first call.
 */
export async function openObjectStore(url: string, options: OpenStoreOptions = {}): Promise<ObjectStore> {
  const parsed = parseStorageUrl(url);
  const driver = await openDriver(parsed, accessOf(options)).catch((thrown: unknown) => {
    throw errorFromFault(thrown);
  });
  const limits = parsed.kind === 'file' ? { attemptMs: folderMs, ...options.limits } : options.limits;
  return createObjectStore(driver, { url, prefix: parsed.prefix, limits });
}

function accessOf({ credentials, credentialsFile }: OpenStoreOptions): Access {
  if (credentials === undefined) return credentialsFile === undefined ? 'sdk' : credentialsOfFile(credentialsFile);
  if (credentialsFile !== undefined) throw new SoulBoxError('config_invalid', 'Credentials are given twice.');
  if (credentials === 'anonymous') return 'anonymous';
  return { name: 'The credentials', read: () => Promise.resolve(credentials) };
}

const importDisk = async () => await import('./disk/open-disk-objects.ts');

/** Loads the code of a store on local disk, for a process that will not be able to read it when it opens the store. */
export async function loadDiskObjects(): Promise<void> {
  await (await importDisk()).loadFileLocks();
}

async function openDriver(url: StorageUrl, access: Access): Promise<StoreDriver> {
  if (url.kind === 'file') {
    if (typeof access !== 'string') throw new SoulBoxError('config_invalid', 'Local disk has no credentials.');
    return await (await importDisk()).openDiskObjects(url.path);
  }
  return await openers[url.kind](url as never, access);
}

type Opener<Url> = (url: Url, access: Access) => Promise<StoreDriver>;

/** Faults of credentials show when the store is opened. Later, the last ones without a fault stay. */
const openers: { readonly [Kind in Exclude<StorageUrl['kind'], 'file'>]: Opener<Extract<StorageUrl, { kind: Kind }>> } =
  {
    async s3(url, access) {
      const credentials = typeof access === 'string' ? access : keepingLast(() => readS3Credentials(access));
      if (typeof credentials !== 'string') await credentials();
      return await (await import('./s3/open-s3.ts')).openS3({ ...url, credentials });
    },
    async azure(url, access) {
      if (access === 'sdk')
        throw new SoulBoxError(
          'config_invalid',
          'Azure needs a file with credentials (SOULBOX_STORAGE_CREDENTIALS_FILE).',
        );
      const { readAzureCredentials } = await import('./azure/credentials.ts');
      const credentials = keepingLast(async () =>
        access === 'anonymous' ? access : await readAzureCredentials(access),
      );
      await credentials();
      return await (await import('./azure/open-azure.ts')).openAzure({ ...url, credentials });
    },
    async gcs(url, access) {
      const { readServiceAccount } = await import('./gcs/credentials.ts');
      const credentials = typeof access === 'string' ? access : keepingLast(() => readServiceAccount(access));
      if (typeof credentials !== 'string') await credentials();
      return await (await import('./gcs/open-gcs.ts')).openGcs({ ...url, credentials });
    },
  };
