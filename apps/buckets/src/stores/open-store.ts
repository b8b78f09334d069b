import { SoulBoxError } from '@soulbox/base';
import type { BucketAccess } from '@soulbox/contract/bucket-record-service';
import { ForbiddenAddressError } from '@soulbox/network/outside';
import { openObjectStore, parseStorageUrl } from '@soulbox/storage/objects';
import type { ObjectStore, StoreLimits } from '@soulbox/storage/objects';
import type { LookupFunction } from 'node:net';

export interface OpenBucketStoreOptions {
  /** Fails with `ForbiddenAddressError` for a name that leads to a private address. */
  readonly lookup: LookupFunction;
  readonly limits?: Partial<StoreLimits> | undefined;
}

/**
 * Opens the store of a bucket with the credentials of its team, and with nothing of this host. Throws `bad_request` for a
 * folder of the host, and `storage_access_denied` for an endpoint that tenants may not name.
 */
export async function openBucketStore(
  { url, credentials }: Pick<BucketAccess, 'url' | 'credentials'>,
  { lookup, limits }: OpenBucketStoreOptions,
): Promise<ObjectStore> {
  const parsed = parseStorageUrl(url);
  if (parsed.kind === 'file') throw new SoulBoxError('bad_request', 'A bucket cannot be a folder of the server.');
  // Each connection is checked. This is only a better error than that of a store that does not answer.
  if (parsed.endpoint !== undefined) await checkName(new URL(parsed.endpoint).hostname.replace(/^\[|\]$/g, ''), lookup);
  return await openObjectStore(url, {
    credentials: credentials === '' ? 'anonymous' : parseCredentials(credentials),
    limits,
  });
}

async function checkName(hostname: string, lookup: LookupFunction): Promise<void> {
  const error = await new Promise((resolve) => lookup(hostname, { all: true }, resolve));
  if (error instanceof ForbiddenAddressError)
    throw new SoulBoxError(
      'storage_access_denied',
      'The endpoint of the bucket is private, local or reserved. The operator can allow it with SOULBOX_BUCKET_ALLOW_PRIVATE.',
    );
}

function parseCredentials(text: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // The message of the parser has parts of the text.
  }
  throw new SoulBoxError('config_invalid', 'The credentials of the bucket are not a JSON object.');
}
