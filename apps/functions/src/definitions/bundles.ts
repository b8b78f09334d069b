import { createHash } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { Readable } from 'node:stream';
import { SoulBoxError } from '@soulbox/base';
import type { BlobStore } from '@soulbox/storage';

const prefix = 'bundles/';
const keyOf = (digest: string): string => prefix + digest;

export interface Bundle {
  readonly digest: string;
  readonly sizeBytes: number;
}

/** Stores a bundle under its digest; identical code is stored once. A damaged one is replaced. */
export async function putBundle(blobs: BlobStore, source: string): Promise<Bundle> {
  const bytes = Buffer.from(source, 'utf8');
  const digest = createHash('sha256').update(bytes).digest('hex');
  if (!(await isWhole(blobs, digest))) await blobs.put(keyOf(digest), Readable.from([bytes]));
  return { digest, sizeBytes: bytes.length };
}

/** Throws `state_damaged` when the bundle is missing or does not match its digest. */
export async function readBundle(blobs: BlobStore, digest: string): Promise<string> {
  const stream = await blobs.read(keyOf(digest));
  const source = stream === undefined ? undefined : await text(stream);
  if (source === undefined || createHash('sha256').update(source).digest('hex') !== digest)
    throw new SoulBoxError(
      'state_damaged',
      'The bundle of this version is missing or damaged. Deploy the function again.',
    );
  return source;
}

async function isWhole(blobs: BlobStore, digest: string): Promise<boolean> {
  try {
    await readBundle(blobs, digest);
    return true;
  } catch (error) {
    if (error instanceof SoulBoxError && error.reason === 'state_damaged') return false;
    throw error;
  }
}

export async function dropBundles(blobs: BlobStore, digests: readonly string[]): Promise<void> {
  for (const digest of digests) await blobs.delete(keyOf(digest));
}

/** Digests of all bundles, whether used or not. */
export async function listBundles(blobs: BlobStore): Promise<string[]> {
  return (await blobs.list(prefix)).map(({ key }) => key.slice(prefix.length));
}
